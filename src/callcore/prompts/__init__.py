"""Prompts: what callers and agents hear from the machine, one text and one piece of audio each."""
