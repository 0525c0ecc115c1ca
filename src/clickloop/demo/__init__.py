"""The demo: the whole loop played once with a stand-in traffic source and network, and its figures checked."""

from clickloop.demo.playing import run as run
