"""Prompts: what callers and agents hear from the machine, one text and one piece of audio each.

`shelf` says where they stand and whether they may be played; `build` makes them; `spoken` puts numbers, times and
dates together from whole phrases.
"""
