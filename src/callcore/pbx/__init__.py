"""Asterisk as a child: its configuration made from the centre files, and its process started and stopped."""
