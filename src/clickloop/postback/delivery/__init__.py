"""Delivery: the worker that claims due postbacks, sends them and records the outcomes, with one queue per receiver."""
