"""Traffic sources and networks as reviewed data, each with the address it is from."""
