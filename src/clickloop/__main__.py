"""Makes ``python -m clickloop`` the same as ``clickloop``."""

from clickloop.cli import main

main()
