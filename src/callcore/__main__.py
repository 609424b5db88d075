"""`python -m callcore`: the same as the command `callcore`."""

from callcore.cli import main

main()
