"""What the world talks to: the public doors and the API."""
