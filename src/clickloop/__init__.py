"""Clickloop: a self-hosted ad and affiliate click tracker that loses nothing and explains everything."""

__version__ = "0.1.0"
