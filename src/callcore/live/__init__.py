"""Changing the configuration of a callcore that is at work: what differs, and bringing it in."""
