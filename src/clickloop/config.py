"""The settings: name, default, unit, help. Read from ``CLICKLOOP_<NAME>`` in the environment and from command line options.

``docs/reference/settings.md`` is generated from this table.
"""

import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import msgspec.inspect
from msgspec import Meta

from clickloop.machine.process import SUPERVISOR

PREFIX = "CLICKLOOP_"
_NODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,22}[A-Za-z0-9])?")
"""At most 24 characters, so that a segment's path fits into the 100 characters of a name in a tar archive."""
INTERNAL_NAMES = frozenset({SUPERVISOR})
"""Environment variables that the processes set for each other; not settings."""


def _about(text: str, unit: str, *, ge: int | None = None, le: int | None = None) -> Meta:
    """Return the description of a setting. ``ge`` and ``le`` are the range of a number, inclusive."""
    return Meta(description=text, extra={"unit": unit}, ge=ge, le=le)


_UNTIL_SAVED = " Applies until you save another value in the panel."


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's settings. The reference page shows each field's description and unit."""

    data: Annotated[str, _about("The data folder, which holds everything. One server per folder.", "path")] = "./data"
    node: Annotated[
        str,
        _about(
            "Name of this server, unique within the installation. Journal segments carry it.",
            "1 to 24 letters, digits and hyphens",
        ),
    ] = "main"
    listen: Annotated[str, _about("Address for visitors and networks.", "host:port")] = "127.0.0.1:8080"
    panel_listen: Annotated[
        str, _about("Address for panel and API. Keep it off the public internet, or behind TLS.", "host:port")
    ] = "127.0.0.1:8081"
    public_url: Annotated[
        str,
        _about(
            "Public scheme and host of this tracker. Leave empty for http:// and the listen address." + _UNTIL_SAVED,
            "URL",
        ),
    ] = ""
    domains: Annotated[
        str,
        _about("Further hosts that point to this tracker, for campaign links." + _UNTIL_SAVED, "host list"),
    ] = ""
    edges: Annotated[
        int, _about("Number of edge processes. 0 means one fewer than cores, at least 1.", "processes", ge=0, le=256)
    ] = 0
    trusted_proxies: Annotated[
        str,
        _about("Proxies whose X-Forwarded-For, -Proto and -Host are trusted, separated by commas.", "CIDR list"),
    ] = ""
    currency: Annotated[str, _about("Currency for amounts that arrive without one." + _UNTIL_SAVED, "ISO 4217")] = "USD"
    fallback_url: Annotated[
        str,
        _about(
            "Where to send visitors when a campaign is paused or has no offer, and has no fallback URL." + _UNTIL_SAVED,
            "URL",
        ),
    ] = ""
    time_zone: Annotated[
        str,
        _about(
            "Time zone for users who have not chosen one." + _UNTIL_SAVED,
            "name, such as Europe/Berlin",
        ),
    ] = "UTC"
    click_keep_days: Annotated[
        int,
        _about(
            "Delete clicks after this many days. 0 keeps them forever. Conversions and revenue are always kept."
            + _UNTIL_SAVED,
            "days",
            ge=0,
            le=36500,
        ),
    ] = 0
    refused_notice_keep_days: Annotated[
        int,
        _about(
            "Delete refused incoming postbacks without a genuine click ID after this many days. 0 keeps them for good.",
            "days",
            ge=0,
            le=36500,
        ),
    ] = 30
    ip_storage: Annotated[
        Literal["full", "shortened", "none"],
        _about(
            "How much of a visitor's IP address to store: full, shortened (the last 8 bits of IPv4 and 80 of IPv6 are set to zero) or "
            "none. Macros see only what is stored. The country is looked up from the full address." + _UNTIL_SAVED,
            "full, shortened, none",
        ),
    ] = "full"
    geo_base: Annotated[
        str,
        _about(
            "Geo databases in MaxMind format (.mmdb): files or folders, separated by colons or commas. Those in the folder geo of the "
            "data folder are used, too. Leave empty to add only countries from the included database.",
            "paths",
        ),
    ] = ""
    journal_sync_ms: Annotated[
        int, _about("Interval for syncing clicks to disk, the most that a power cut can cost.", "ms", ge=1, le=60000)
    ] = 250
    notice_close_ms: Annotated[
        int, _about("How long a journal segment of incoming postbacks stays open.", "ms", ge=1, le=10000)
    ] = 25
    journal_keep_hours: Annotated[
        int, _about("How long to keep journal segments after they have been processed.", "hours", ge=1, le=8760)
    ] = 24
    reserve_mb: Annotated[
        int, _about("Disk space to reserve, released when the disk is full.", "MiB", ge=0, le=1048576)
    ] = 64
    connections_per_address: Annotated[
        int,
        _about(
            "Maximum number of open connections per client address and process, never more than half of all. Trusted proxies are exempt.",
            "connections",
            ge=1,
            le=1000000,
        ),
    ] = 1000
    request_seconds: Annotated[
        int,
        _about(
            "Time limit for sending a request to Clickloop. Uploads may take longer as long as data keeps arriving.",
            "s",
            ge=1,
            le=600,
        ),
    ] = 10
    keep_alive_seconds: Annotated[int, _about("How long to keep an idle connection open.", "s", ge=1, le=3600)] = 75
    delivery_connections: Annotated[
        int, _about("Maximum number of postbacks in flight.", "requests", ge=1, le=10000)
    ] = 200
    attempt_seconds: Annotated[int, _about("Time limit for one delivery attempt.", "s", ge=1, le=300)] = 10
    allowed_addresses: Annotated[
        str,
        _about(
            "Non-public addresses that postbacks may be sent to, such as 127.0.0.0/8 for a receiver on this machine. A cloud "
            "metadata address must be listed exactly.",
            "CIDR list",
        ),
    ] = ""
    allowed_ports: Annotated[
        str,
        _about("Ports to send postbacks to although they are blocked by default, such as 25 or 6379.", "port list"),
    ] = ""
    upload_limit_mb: Annotated[int, _about("Maximum size of an uploaded conversions file.", "MiB", ge=1, le=4095)] = (
        2048
    )
    upload_keep_hours: Annotated[
        int,
        _about(
            "How long to keep finished uploads, their results, and exports.",
            "hours",
            ge=1,
            le=8760,
        ),
    ] = 72
    alarm_after_seconds: Annotated[
        int,
        _about(
            "How long the core may be silent or make no progress before an alarm is raised. The alarm is sent within twice that time.",
            "s",
            ge=2,
            le=30,
        ),
    ] = 30
    facts_memory_mb: Annotated[int, _about("Memory limit for the facts database.", "MiB", ge=64, le=1048576)] = 512

    def folder(self) -> Path:
        """Return the data folder as an absolute path."""
        return Path(self.data).resolve()

    def edge_count(self) -> int:
        """Return the number of edge processes to run."""
        return self.edges or max(1, len(os.sched_getaffinity(0)) - 1)

    def base_url(self) -> str:
        """Return scheme and host of public links, without a trailing slash."""
        return (self.public_url or f"http://{self.listen}").rstrip("/")


class SettingError(Exception):
    """A setting has an invalid value. The message names the setting, what was expected and what to do."""


def read_settings(environment: Mapping[str, str], **overrides: Any) -> Settings:
    """Return the settings from ``overrides`` (unless None), the environment and the defaults, in this order.

    Raise SettingError for a value of the wrong type or out of range, and for an unknown name in the environment.
    """
    _refuse_unknown(environment)
    values: dict[str, Any] = {}
    for field in Settings.__struct_fields__:
        text = environment.get(f"{PREFIX}{field.upper()}")
        if text is not None:
            values[field] = text
    values |= {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as fault:
        raise SettingError(_first_fault(values) or f"A setting cannot be read: {fault}.") from fault
    _check(settings)
    return settings


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    """Raise SettingError for a misspelt name. Ignoring it would silently run the tracker with the default."""
    known = {f"{PREFIX}{field.upper()}" for field in Settings.__struct_fields__}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known and name not in INTERNAL_NAMES:
            nearest = get_close_matches(
                name.removeprefix(PREFIX), [other.removeprefix(PREFIX) for other in sorted(known)], 1
            )
            hint = f" Did you mean {PREFIX}{nearest[0]}?" if nearest else ""
            raise SettingError(
                f"{name} in the environment is not a setting.{hint} Correct or remove it. For all names, see docs/reference/settings.md."
            )


def _first_fault(values: Mapping[str, Any]) -> str:
    """Return a message about the first invalid value, or an empty string if each value is valid by itself."""
    for field in _fields():
        if field.name not in values:
            continue
        value = values[field.name]
        try:
            msgspec.convert({field.name: value}, Settings, strict=False)
        except msgspec.ValidationError:
            expected = _range_of(field) or f"one of {(field.type.extra or {}).get('unit', '')}"
            name = field.name.replace("_", "-")
            return f"{field.name} is {str(value)[:60]!r}, expected {expected}: correct {PREFIX}{field.name.upper()} or --{name}."
    return ""


def _fields() -> Sequence[Any]:
    return msgspec.inspect.type_info(Settings).fields  # type: ignore[attr-defined, no-any-return]  # untyped in msgspec


def _range_of(field: Any) -> str:
    """Return the range of a number with its unit, or an empty string for other types."""
    kind = field.type.type if isinstance(field.type, msgspec.inspect.Metadata) else field.type
    if not isinstance(kind, msgspec.inspect.IntType):
        return ""
    return f"a whole number from {kind.ge} to {kind.le} {(field.type.extra or {}).get('unit', '')}".rstrip()


def _check(settings: Settings) -> None:
    if not _NODE.fullmatch(settings.node):
        raise SettingError(
            f"node is {settings.node[:60]!r}, expected 1 to 24 letters, digits and hyphens, such as main or eu-2: correct {PREFIX}NODE"
        )
    for name in ("listen", "panel_listen"):
        listen_address(getattr(settings, name), name)
    proxy_networks(settings.trusted_proxies)
    networks_of(settings.allowed_addresses, "allowed_addresses")
    ports_of(settings.allowed_ports, "allowed_ports")
    if settings.public_url and not settings.public_url.startswith(("http://", "https://")):
        raise SettingError(f"public_url is {settings.public_url!r}, expected http://… or https://…")


def listen_address(text: str, name: str) -> tuple[str, int]:
    """Return host and port of ``host:port`` or ``[v6]:port``. Raise SettingError naming the setting."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise SettingError(f"{name} is {text!r}, expected host:port such as 127.0.0.1:8080")
    return host.strip("[]"), int(port)


def proxy_networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Return the networks of ``trusted_proxies``. Raise SettingError."""
    return networks_of(text, "trusted_proxies")


def networks_of(text: str, name: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Return the networks in a comma-separated list of CIDR ranges. Raise SettingError naming the setting."""
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as fault:
        raise SettingError(f"{name}: {fault}; expected CIDR ranges such as 10.0.0.0/8,2001:db8::/32") from fault


def ports_of(text: str, name: str) -> frozenset[int]:
    """Return the ports in a comma-separated list. Raise SettingError naming the setting."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        if not (part.isascii() and part.isdigit() and len(part) <= 5 and 1 <= int(part) <= 65_535):
            raise SettingError(f"{name} contains {part[:20]!r}, expected ports from 1 to 65535 such as 25,8500")
    return frozenset(int(part) for part in parts)


def settings_reference() -> str:
    """Return the reference page of the settings in Markdown."""
    lines = [
        "# Settings",
        "",
        "Generated from `src/clickloop/config.py` by `make docs`. Set `CLICKLOOP_<NAME>` in the environment. `clickloop serve` has",
        "options for some of them.",
        "",
        "Clickloop refuses to start with a value out of range or with an unknown variable that begins with `CLICKLOOP_`.",
        "",
        "| Variable | Default | Range | Unit | Meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    for field in _fields():
        kind = field.type
        meta = kind.extra_json_schema or {}
        unit = (kind.extra or {}).get("unit", "")
        default = f"`{field.default}`" if field.default != "" else "empty"
        number = kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind
        span = f"{number.ge} – {number.le}" if isinstance(number, msgspec.inspect.IntType) else ""
        lines.append(
            f"| `{PREFIX}{field.name.upper()}` | {default} | {span} | {unit} | {meta.get('description', '')} |"
        )
    return "\n".join(lines) + "\n"
