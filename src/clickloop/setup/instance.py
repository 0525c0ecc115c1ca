"""The settings of the whole instance while it runs: saved ones, and for the rest those that it was started with."""

import ipaddress
import re
import zoneinfo
from functools import cache
from urllib.parse import urlsplit

import msgspec

from clickloop.config import SettingError, Settings
from clickloop.explained import Explained
from clickloop.setup.fault import FaultCode, FieldFault, currency_faults
from clickloop.setup.mark import MarkSetting, mark_faults
from clickloop.setup.web_address import address_faults

MAX_DOMAINS = 100  # each request's host is compared with them
MAX_KEEP_DAYS = 36_500  # a hundred years: days beyond it would leave the calendar

MAX_MARK_LISTS = 10  # of up to 10,000 entries each, which every edge compiles while visitors wait
MAX_CLICK_ID_PARAMETERS = 100  # each parameter of a link that is passed on is compared with them

_PARAMETER = re.compile(r"[a-z0-9_.-]{1,64}")
_DOMAIN = re.compile(r"(?=.{1,253}$)(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*(?::[0-9]{1,5})?")


class IpStorage(Explained):
    """The part of visitors' IP addresses that is stored."""

    FULL = "full", "The whole address."
    SHORTENED = "shortened", "The address without its last 8 bits, for IPv6 its last 80."
    NONE = "none", "No address; the country is still known."


class InstanceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings in effect."""

    public_url: str
    """Scheme and host of our public links, without a trailing slash."""
    domains: tuple[str, ...] = ()
    """Further hosts of this tracker, lower case, with port if any."""
    currency: str = "USD"
    """The currency of amounts without one."""
    fallback_url: str = ""
    """Where visitors go if a campaign has nowhere to send them; empty: a plain 404 page."""
    time_zone: str = "UTC"
    """Name of the time zone in which days begin, such as Europe/Berlin, for users without their own."""
    click_keep_days: int = 0
    """Days after which clicks are deleted; 0: never."""
    ip_storage: IpStorage = IpStorage.FULL
    marks: tuple[MarkSetting, ...] = ()
    """Marks that differ from their defaults."""
    ip_lists: tuple[int, ...] = ()
    """Named lists of addresses and CIDR ranges for the mark ``listed_ip``."""
    useragent_lists: tuple[int, ...] = ()
    """Named lists of parts of user agents for the mark ``listed_useragent``."""
    click_id_parameters: tuple[str, ...] = ()
    """Further parameters in which ad platforms carry their click ids, lower case."""

    def own_hosts(self) -> frozenset[str]:
        """Return the hosts of this tracker, lower case, with port if any."""
        return frozenset((urlsplit(self.public_url).netloc.lower(), *self.domains))


class SavedSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The saved settings. For those that are None, the setting that the tracker was started with applies."""

    public_url: str | None = None
    domains: tuple[str, ...] | None = None
    currency: str | None = None
    fallback_url: str | None = None
    time_zone: str | None = None
    click_keep_days: int | None = None
    ip_storage: IpStorage | None = None
    marks: tuple[MarkSetting, ...] | None = None
    ip_lists: tuple[int, ...] | None = None
    useragent_lists: tuple[int, ...] | None = None
    click_id_parameters: tuple[str, ...] | None = None

    def over(self, started: InstanceSettings) -> InstanceSettings:
        """Return the settings in effect if the tracker was started with ``started``."""
        saved = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return msgspec.structs.replace(started, **saved)

    def names(self) -> tuple[str, ...]:
        return tuple(name for name, value in msgspec.structs.asdict(self).items() if value is not None)


NOTHING_SAVED = SavedSettings()


def startup_settings(settings: Settings) -> InstanceSettings:
    """Return the instance settings in the environment and command line. Raise SettingError, naming the setting."""
    domains = tuple(part.strip().lower() for part in settings.domains.split(",") if part.strip())
    effective = SavedSettings(
        public_url=settings.base_url(),
        domains=domains,
        currency=settings.currency,
        fallback_url=settings.fallback_url,
        time_zone=settings.time_zone,
        click_keep_days=settings.click_keep_days,
        ip_storage=IpStorage(settings.ip_storage),
    )
    # Without a public URL, base_url() returns the listen address, whose port may be 0 for any free one.
    checked = msgspec.structs.replace(effective, public_url=settings.public_url.rstrip("/") or None)
    for fault in instance_faults(checked):
        raise SettingError(f"{fault.field.partition('[')[0]}: {fault.message}")
    return effective.over(InstanceSettings(public_url=""))


def instance_faults(saved: SavedSettings) -> list[FieldFault]:
    """Return everything wrong with settings to save."""
    faults: list[FieldFault] = []
    if saved.public_url is not None:
        faults += _public_url_faults(saved.public_url)
    for position, domain in enumerate((saved.domains or ())[:MAX_DOMAINS]):
        if not _DOMAIN.fullmatch(domain):
            sentence = "Enter a lowercase host without scheme or path, such as go.example.com."
            faults.append(FieldFault(f"domains[{position}]", FaultCode.NOT_A_HOST, sentence))
    if len(saved.domains or ()) > MAX_DOMAINS:
        faults.append(FieldFault("domains", FaultCode.TOO_MANY, f"The maximum is {MAX_DOMAINS} hosts."))
    faults += _click_id_faults(saved.click_id_parameters or ())
    faults += mark_faults("marks", saved.marks or ())
    for field, list_ids in (("ip_lists", saved.ip_lists or ()), ("useragent_lists", saved.useragent_lists or ())):
        if len(list_ids) > MAX_MARK_LISTS:
            faults.append(FieldFault(field, FaultCode.TOO_MANY, f"The maximum is {MAX_MARK_LISTS} lists."))
    if saved.currency is not None:
        faults += currency_faults("currency", saved.currency or "?")
    faults += address_faults("fallback_url", saved.fallback_url or "", required=False)
    if saved.time_zone is not None:
        faults += zone_faults("time_zone", saved.time_zone)
    if saved.click_keep_days is not None and not 0 <= saved.click_keep_days <= MAX_KEEP_DAYS:
        sentence = f"Enter 0 (keep for ever) to {MAX_KEEP_DAYS} days."
        faults.append(FieldFault("click_keep_days", FaultCode.OUT_OF_RANGE, sentence))
    return faults


def _click_id_faults(names: tuple[str, ...]) -> list[FieldFault]:
    if len(names) > MAX_CLICK_ID_PARAMETERS:
        sentence = f"The maximum is {MAX_CLICK_ID_PARAMETERS} parameters."
        return [FieldFault("click_id_parameters", FaultCode.TOO_MANY, sentence)]
    return [
        FieldFault(
            f"click_id_parameters[{position}]",
            FaultCode.CHARACTER,
            "Enter a parameter's name, such as adclid: letters, digits, dots, hyphens and underscores, at most 64.",
        )
        for position, name in enumerate(names)
        if not _PARAMETER.fullmatch(name)
    ]


def zone_faults(field: str, name: str) -> list[FieldFault]:
    if name in time_zones():
        return []
    return [FieldFault(field, FaultCode.NOT_FOUND, "Enter a time zone's name, such as Europe/Berlin or UTC.")]


@cache
def time_zones() -> tuple[str, ...]:
    return tuple(sorted(zoneinfo.available_timezones() - {"localtime", "Factory"}))


def stored_address(address: str, storage: IpStorage) -> str:
    """Return what to store of a visitor's address. Empty for a text that is not an address, unless everything is stored."""
    if storage is IpStorage.FULL:
        return address
    if storage is IpStorage.NONE:
        return ""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    bits = 8 if parsed.version == 4 else 80
    return str(type(parsed)(int(parsed) >> bits << bits))


def _public_url_faults(url: str) -> list[FieldFault]:
    faults = address_faults("public_url", url, required=True)
    if not faults and (url.count("/") != 2 or "?" in url or "#" in url or "{" in url):
        sentence = "Enter scheme and host only, without a path, such as https://go.example.com."
        faults.append(FieldFault("public_url", FaultCode.NOT_A_URL, sentence))
    return faults
