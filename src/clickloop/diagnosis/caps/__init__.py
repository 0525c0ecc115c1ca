"""What users see of caps: how far they are, since when they are reached, and where visitors went since."""
