"""Explaining where visitors go along a flow: recorded ones, invented ones, and those of the past along a changed flow."""
