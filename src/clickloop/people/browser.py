"""The browser of a panel user."""

import msgspec


class Browser(msgspec.Struct, frozen=True, kw_only=True):
    """A browser. ``host``: the requested host, lower case, with port if any. ``secure``: connected over HTTPS."""

    address: str
    useragent: str = ""
    host: str = ""
    secure: bool = False
