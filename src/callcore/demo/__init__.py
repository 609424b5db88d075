"""A working day for whoever has no phones at hand: simulated desk phones and callers, over real SIP."""
