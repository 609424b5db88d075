"""The functional core: state, inputs, facts, effects and the one function `step` that joins them.

Nothing here knows a clock, a socket, a thread or chance. Time comes in with every input, as Asterisk stamped it.
"""
