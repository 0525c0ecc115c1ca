"""The web site of the core: the API and the panel."""
