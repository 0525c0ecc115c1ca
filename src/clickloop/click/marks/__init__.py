"""Marks of suspicious traffic: which a request gets, and the tally of those that depend on other clicks."""
