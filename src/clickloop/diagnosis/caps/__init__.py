"""Views of caps: the count so far, when they were reached, and where visitors went since."""
