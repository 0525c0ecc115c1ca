"""What the instance as a whole is set to while it runs: what somebody saved, and where nobody did, what it was started with."""

import ipaddress
import re
import zoneinfo
from functools import cache
from urllib.parse import urlsplit

import msgspec

from clickloop.config import SettingError, Settings
from clickloop.explained import Explained
from clickloop.setup.fault import Fault, FaultCode, currency_faults
from clickloop.setup.web_address import address_faults

MAX_DOMAINS = 100  # each request's host is compared with them
MAX_KEEP_DAYS = 36_500  # a hundred years: days beyond it would leave the calendar

_DOMAIN = re.compile(r"(?=.{1,253}$)(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*(?::[0-9]{1,5})?")


class IpStorage(Explained):
    """How much of a visitor's address is kept."""

    FULL = "full", "The whole address."
    SHORTENED = "shortened", "Without its last 8 bits, of IPv6 its last 80."
    NONE = "none", "Nothing of it; the country is still known."


class InstanceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What holds."""

    public_url: str
    """Scheme and host of our public links, without a slash at the end."""
    domains: tuple[str, ...] = ()
    """Further hosts that reach this tracker, lower case, with port if any."""
    currency: str = "USD"
    """Of what names none."""
    fallback_url: str = ""
    """Where visitors go whom a campaign has nowhere to send; empty: they get a plain 404 page."""
    time_zone: str = "UTC"
    """By name, such as Europe/Berlin: in which days begin, for users who have set none."""
    click_keep_days: int = 0
    """Days after which clicks are deleted; 0: never."""
    ip_storage: IpStorage = IpStorage.FULL

    def own_hosts(self) -> frozenset[str]:
        """Hosts that reach this tracker, lower case, with port if any."""
        return frozenset((urlsplit(self.public_url).netloc.lower(), *self.domains))


class SavedSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody saved; None: nobody did, so that what the tracker was started with holds."""

    public_url: str | None = None
    domains: tuple[str, ...] | None = None
    currency: str | None = None
    fallback_url: str | None = None
    time_zone: str | None = None
    click_keep_days: int | None = None
    ip_storage: IpStorage | None = None

    def over(self, given: InstanceSettings) -> InstanceSettings:
        """What holds when the tracker was started with ``given``."""
        saved = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return msgspec.structs.replace(given, **saved)

    def names(self) -> tuple[str, ...]:
        """The settings that somebody saved."""
        return tuple(name for name, value in msgspec.structs.asdict(self).items() if value is not None)


NOTHING_SAVED = SavedSettings()


def started_with(settings: Settings) -> InstanceSettings:
    """What the environment and the command line say. Raises SettingError naming the setting."""
    domains = tuple(part.strip().lower() for part in settings.domains.split(",") if part.strip())
    given = SavedSettings(
        public_url=settings.base_url(),
        domains=domains,
        currency=settings.currency,
        fallback_url=settings.fallback_url,
        time_zone=settings.time_zone,
        click_keep_days=settings.click_keep_days,
        ip_storage=IpStorage(settings.ip_storage),
    )
    # Without a public URL the listen address stands for it, whose port may be left to the system.
    checked = msgspec.structs.replace(given, public_url=settings.public_url.rstrip("/") or None)
    for fault in instance_faults(checked):
        raise SettingError(f"{fault.field.partition('[')[0]}: {fault.message}")
    return given.over(InstanceSettings(public_url=""))


def instance_faults(saved: SavedSettings) -> list[Fault]:
    """Everything that is wrong with what somebody wants to save."""
    faults: list[Fault] = []
    if saved.public_url is not None:
        faults += _public_url_faults(saved.public_url)
    for position, domain in enumerate((saved.domains or ())[:MAX_DOMAINS]):
        if not _DOMAIN.fullmatch(domain):
            sentence = "A host in lower case is expected, without scheme and path: go.example.com."
            faults.append(Fault(f"domains[{position}]", FaultCode.NOT_A_HOST, sentence))
    if len(saved.domains or ()) > MAX_DOMAINS:
        faults.append(Fault("domains", FaultCode.TOO_MANY, f"At most {MAX_DOMAINS} hosts are kept."))
    if saved.currency is not None:
        faults += currency_faults("currency", saved.currency or "?")
    faults += address_faults("fallback_url", saved.fallback_url or "", required=False)
    if saved.time_zone is not None:
        faults += zone_faults("time_zone", saved.time_zone)
    if saved.click_keep_days is not None and not 0 <= saved.click_keep_days <= MAX_KEEP_DAYS:
        sentence = f"0 (for ever) to {MAX_KEEP_DAYS} days are expected."
        faults.append(Fault("click_keep_days", FaultCode.OUT_OF_RANGE, sentence))
    return faults


def zone_faults(field: str, name: str) -> list[Fault]:
    """The faults of a time zone's name."""
    if name in time_zones():
        return []
    return [Fault(field, FaultCode.NOT_FOUND, "A time zone's name is expected, such as Europe/Berlin or UTC.")]


@cache
def time_zones() -> tuple[str, ...]:
    """The names of all time zones, sorted."""
    return tuple(sorted(zoneinfo.available_timezones() - {"localtime", "Factory"}))


def kept_address(address: str, storage: IpStorage) -> str:
    """What is kept of a visitor's address; of a text that is none, nothing unless all is kept."""
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


def _public_url_faults(url: str) -> list[Fault]:
    faults = address_faults("public_url", url, required=True)
    if not faults and (url.count("/") != 2 or "?" in url or "#" in url or "{" in url):
        sentence = "Only scheme and host are expected, without a path: https://go.example.com."
        faults.append(Fault("public_url", FaultCode.NOT_A_URL, sentence))
    return faults
