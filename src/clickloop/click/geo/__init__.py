"""Geo bases: several ``.mmdb`` files at once, swapped while visitors arrive, and the countries that are always included."""
