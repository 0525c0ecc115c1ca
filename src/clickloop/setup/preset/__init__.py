"""Presets of traffic sources and networks: reviewed data, each with its source document."""
