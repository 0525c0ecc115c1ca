"""Benchmarks: side by side with nginx in the same run, since machines are noisy."""
