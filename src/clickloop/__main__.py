"""Run ``python -m clickloop`` like ``clickloop``."""

from clickloop.cli import main

main()
