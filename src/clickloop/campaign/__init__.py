"""What the user sets up: sources, networks, offers, campaigns, and the snapshot of it all for the hot path."""
