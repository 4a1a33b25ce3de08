"""`python -m hillock.gen`."""

from .cli import main

main()
