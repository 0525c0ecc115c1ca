"""The credits that makers of free geo bases require where their data are shown."""

import msgspec


class Attribution(msgspec.Struct, frozen=True):
    """A text with a link."""

    text: str
    url: str


_MAKERS = (
    # https://db-ip.com/db/lite.php: "you must include a link back to DB-IP.com on pages that display or use results".
    (("dbip", "db-ip"), Attribution("IP Geolocation by DB-IP", "https://db-ip.com")),
    # https://www.maxmind.com/en/geolite2/eula and CC BY-SA 4.0, which GeoLite2 is under in part.
    (("geolite",), Attribution("GeoLite2 data created by MaxMind", "https://www.maxmind.com")),
    # https://ipinfo.io/developers/ipinfo-lite-database: CC BY-SA 4.0, with a link to ipinfo.io.
    (("ipinfo",), Attribution("IP address data powered by IPinfo", "https://ipinfo.io")),
    # http://archive.routeviews.org: CC BY 4.0.
    (("routeviews",), Attribution("AS numbers by RouteViews", "https://www.routeviews.org")),
)
"""By words in a base's kind or a file's name."""


def attributions_of(kind: str, file_name: str) -> tuple[Attribution, ...]:
    """Return the credits of a base, as far as its maker is recognised."""
    text = f"{kind} {file_name}".lower()
    return tuple(found for words, found in _MAKERS if any(word in text for word in words))
