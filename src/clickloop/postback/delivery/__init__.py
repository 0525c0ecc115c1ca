"""Delivery: the worker that claims due postbacks, sends them and records the outcome; one queue per receiver."""
