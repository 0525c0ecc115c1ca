"""The demo: plays the whole loop with a simulated traffic source and network, and checks every figure."""

from clickloop.demo.playing import run as run
