"""Benchmarks, with nginx as a reference in the same run, since machines are noisy."""
