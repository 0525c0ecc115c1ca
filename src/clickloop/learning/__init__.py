"""Distribution that learns: from what a path's landings and offers earned to their weights. Pure."""
