"""The request that changes the settings of the instance."""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clickloop.log_filter import MAX_ID
from clickloop.setup.instance import MAX_KEEP_DAYS, MAX_MARK_LISTS, IpStorage, SavedSettings
from clickloop.setup.mark import MarkSetting

PublicUrl = Annotated[
    str, Meta(description="Scheme and host of this tracker's public links.", examples=["https://go.example.com"])
]
Domains = Annotated[
    list[str],
    Meta(description="Additional hosts that reach this tracker, for campaign links.", examples=[["clk.example.net"]]),
]
Currency = Annotated[
    str,
    Meta(
        description="ISO 4217 code. Used in reports and for amounts without a currency.",
        examples=["USD"],
    ),
]
FallbackUrl = Annotated[
    str,
    Meta(
        description="Where visitors go when a campaign has no destination for them. Leave empty to show a plain 404 page."
    ),
]
Zone = Annotated[
    str, Meta(description="Default time zone, for users who have not chosen one.", examples=["Europe/Berlin"])
]
KeepDays = Annotated[
    int,
    Meta(
        description=f"Days after which clicks are deleted, at most {MAX_KEEP_DAYS}. 0 keeps them forever. Conversions are kept.",
        examples=[365],
    ),
]
Storage = Annotated[
    IpStorage,
    Meta(
        description="How much of a visitor's IP address is stored from now on. shortened drops the last 8 bits of an IPv4 "
        "address and the last 80 of an IPv6 address. What is not stored is not available to macros. The country is looked up first."
    ),
]
ClickIdParameters = Annotated[
    list[str],
    Meta(
        description="Further parameters in which ad platforms carry their click IDs. Campaigns that pass on click IDs pass them on, "
        "besides the common ones such as gclid and fbclid.",
        examples=[["adclid"]],
    ),
]

MarkSettings = Annotated[
    tuple[MarkSetting, ...],
    Meta(
        description="Marks whose switch or threshold differs from the default. Campaigns can differ from these.",
        examples=[[{"mark": "frequent_ip", "on": True, "threshold": 100}]],
    ),
]
_ListIds = tuple[Annotated[int, Meta(ge=1, le=MAX_ID)], ...]
IpLists = Annotated[
    _ListIds,
    Meta(
        description=f"Lists of addresses and CIDR ranges for the mark listed_ip, at most {MAX_MARK_LISTS}. Other entries are ignored.",
        examples=[[3]],
    ),
]
UserAgentLists = Annotated[
    _ListIds,
    Meta(
        description="Lists for the mark listed_useragent: clicks whose user agent contains an entry, in any case, get it.",
        examples=[[4]],
    ),
]


class SettingsUpdate(msgspec.Struct, kw_only=True):
    """Settings to change. Omitted fields stay unchanged; null restores the value the tracker was started with."""

    public_url: PublicUrl | UnsetType | None = UNSET
    domains: Domains | UnsetType | None = UNSET
    currency: Currency | UnsetType | None = UNSET
    fallback_url: FallbackUrl | UnsetType | None = UNSET
    time_zone: Zone | UnsetType | None = UNSET
    click_keep_days: KeepDays | UnsetType | None = UNSET
    ip_storage: Storage | UnsetType | None = UNSET
    click_id_parameters: ClickIdParameters | UnsetType | None = UNSET
    marks: MarkSettings | UnsetType | None = UNSET
    ip_lists: IpLists | UnsetType | None = UNSET
    useragent_lists: UserAgentLists | UnsetType | None = UNSET


def changed_settings(before: SavedSettings, update: SettingsUpdate) -> SavedSettings:
    """Return the saved settings after a change, with hosts and parameters trimmed and in lower case."""
    changes = {name: value for name, value in msgspec.structs.asdict(update).items() if value is not UNSET}
    for field in ("ip_lists", "useragent_lists"):
        if changes.get(field) is not None:
            changes[field] = tuple(dict.fromkeys(changes[field]))
    for field in ("domains", "click_id_parameters"):
        if changes.get(field) is not None:
            changes[field] = tuple(dict.fromkeys(name.strip().lower() for name in changes[field]))
    if changes.get("public_url") is not None:
        changes["public_url"] = changes["public_url"].strip().rstrip("/")
    return msgspec.structs.replace(before, **changes)
