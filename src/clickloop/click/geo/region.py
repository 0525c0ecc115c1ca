"""Codes of regions (ISO 3166-2) by English name, for bases that provide only names."""

import tomllib
import unicodedata
from functools import cache
from importlib.resources import files

MAX_REGION_NAME = 100


def region_code(country: str, name: str) -> str:
    """Return the code, such as ``US-CA``; empty if the name is not known to mean one region of the country."""
    if not country or not name or len(name) > MAX_REGION_NAME:
        return ""
    return _codes().get((country, _folded(name)), "")


@cache
def _codes() -> dict[tuple[str, str], str]:
    table = tomllib.loads(files("clickloop.click.geo").joinpath("regions.toml").read_text("utf-8"))
    return {
        (country, _folded(name)): f"{country}-{code}"
        for country, regions in table.items()
        for name, code in regions.items()
    }


def _folded(name: str) -> str:
    """Return a name without accents, case, and what is no letter: makers of bases spell them differently."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", name).casefold() if letter.isalnum())
