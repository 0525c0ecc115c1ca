"""Quarter-hour roll-ups of the facts."""
