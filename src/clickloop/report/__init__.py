"""What is counted, and the story of one click."""
