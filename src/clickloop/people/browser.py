"""The browser of somebody who uses the panel."""

import msgspec


class Browser(msgspec.Struct, frozen=True, kw_only=True):
    """A browser. ``host``: the one that it asked for, lower case, with port if any. ``secure``: it came over https."""

    address: str
    useragent: str = ""
    host: str = ""
    secure: bool = False
