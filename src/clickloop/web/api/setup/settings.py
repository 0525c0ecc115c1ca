"""/settings: what the instance as a whole is set to, and can be set to while it runs."""

from typing import Annotated

import msgspec
from litestar import Router, get, patch
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType

from clickloop.people.user import Right
from clickloop.setup.instance import MAX_KEEP_DAYS, InstanceSettings, IpStorage, SavedSettings
from clickloop.setup.record import Versioned
from clickloop.store.ledger.logs.audit_entry import note_change
from clickloop.store.ledger.setup.settings import instance_version, read_instance, write_instance
from clickloop.web.api.all_faults import tells_all
from clickloop.web.api.body import CheckedBody
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.rights import RIGHT
from clickloop.web.api.wire import shown

NOUN = "settings"
RECORD = "instance"
"""The name of the only record in the log of changes."""

PublicUrl = Annotated[
    str,
    Meta(
        description="Scheme and host under which the world reaches this tracker.", examples=["https://go.example.com"]
    ),
]
Domains = Annotated[
    list[str],
    Meta(description="Further hosts that reach it, for links of campaigns.", examples=[["clk.example.net"]]),
]
Currency = Annotated[str, Meta(description="Of what names none (ISO 4217).", examples=["USD"])]
FallbackUrl = Annotated[
    str, Meta(description="Where visitors go whom a campaign has nowhere to send; empty: a plain 404 page.")
]
Zone = Annotated[
    str, Meta(description="For days and times of users who have not chosen one.", examples=["Europe/Berlin"])
]
KeepDays = Annotated[
    int,
    Meta(
        description=f"Clicks are deleted after so many days, at most {MAX_KEEP_DAYS}; 0: never. Conversions stay.",
        examples=[365],
    ),
]
Storage = Annotated[
    IpStorage,
    Meta(
        description="How much of a visitor's address is kept, from now on: shortened leaves out the last 8 bits of IPv4 and 80 of IPv6. "
        "What is not kept is not in macros either; the country is looked up before."
    ),
]


class SettingsUpdate(msgspec.Struct, kw_only=True):
    """What to set. What is left out stays; null: as the tracker was started."""

    public_url: PublicUrl | UnsetType | None = UNSET
    domains: Domains | UnsetType | None = UNSET
    currency: Currency | UnsetType | None = UNSET
    fallback_url: FallbackUrl | UnsetType | None = UNSET
    time_zone: Zone | UnsetType | None = UNSET
    click_keep_days: KeepDays | UnsetType | None = UNSET
    ip_storage: Storage | UnsetType | None = UNSET


class SettingsView(Versioned, frozen=True, kw_only=True):
    """What the instance is set to."""

    public_url: PublicUrl
    domains: Domains
    currency: Currency
    fallback_url: FallbackUrl
    time_zone: Zone
    click_keep_days: KeepDays
    ip_storage: Storage
    saved: Annotated[
        list[str],
        Meta(
            description="Those that somebody saved; the others are as the tracker was started: environment, command line or default.",
            examples=[["currency"]],
        ),
    ]


def read_settings(context: Context) -> SettingsView:
    """What holds, and which of it was saved here."""
    with context.ledger.read() as tx:
        return settings_view(read_instance(tx), context.started, instance_version(tx))


def change_settings(context: Context, data: JSONBody[SettingsUpdate]) -> SettingsView:
    """Sets what is given; it holds within a second, without a restart."""
    with context.ledger.write() as tx:
        before, version = read_instance(tx), instance_version(tx)
        context.expected.check(version)
        saved = _changed(before, data)
        view = settings_view(saved, context.started, write_instance(tx, saved, version, context.clock()))
        note_change(tx, context, NOUN, RECORD, settings_view(before, context.started), view)
    context.on_setup_changed()
    return view


def started_view(context: ApiContext) -> SettingsView:
    """What would hold if nothing were saved."""
    return settings_view(SavedSettings(), context.started)


def settings_view(saved: SavedSettings, started: InstanceSettings, version: int = 0) -> SettingsView:
    """Return the settings for JSON; ``version`` 0: nothing was ever saved."""
    holds = saved.over(started)
    return SettingsView(
        version=version,
        public_url=shown(holds.public_url),
        domains=list(holds.domains),
        currency=holds.currency,
        fallback_url=shown(holds.fallback_url),
        time_zone=holds.time_zone,
        click_keep_days=holds.click_keep_days,
        ip_storage=holds.ip_storage,
        saved=list(saved.names()),
    )


def _changed(before: SavedSettings, data: SettingsUpdate) -> SavedSettings:
    given = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not UNSET}
    if given.get("domains") is not None:
        given["domains"] = tuple(dict.fromkeys(domain.strip().lower() for domain in given["domains"]))
    if given.get("public_url") is not None:
        given["public_url"] = given["public_url"].strip().rstrip("/")
    return msgspec.structs.replace(before, **given)


router = Router(
    f"/{NOUN}",
    route_handlers=[
        get("/", sync_to_thread=True, summary="Read the settings")(read_settings),
        patch(
            "/",
            dto=CheckedBody,
            return_dto=None,
            sync_to_thread=True,
            opt={RIGHT: Right.ADMINISTER},
            summary="Change settings",
        )(tells_all(change_settings)),
    ],
    tags=["Settings"],
)
