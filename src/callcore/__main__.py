"""`python -m callcore`: the same as the command `callcore`."""

from callcore.starting import uncollected

with uncollected():
    from callcore.cli import main

main()
