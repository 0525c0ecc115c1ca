"""A conversion and its changes as the API, the panel and exports show them."""

from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.clock import Moment
from clickloop.conversion.conversion import Conversion
from clickloop.conversion.conversion_log import RecordedChange
from clickloop.conversion.status import CountsAs
from clickloop.logs.view import view_of
from clickloop.setup.money_text import MoneyText
from clickloop.store.ledger.logs.conversions import find_conversion, newest_changes
from clickloop.text import readable

MAX_CHANGES = 500
"""Maximum number of changes shown of one conversion, the newest: anyone who has its click id can make any number."""


class StatusName(msgspec.Struct, kw_only=True):
    """A status of a conversion."""

    key: Annotated[str, Meta(examples=["sale"])]
    name: str
    counts_as: CountsAs


class ConversionView(msgspec.Struct, kw_only=True):
    """The current state of a conversion."""

    conversion_id: str
    click_id: str
    txid: str
    status: StatusName
    status_word: Annotated[str, Meta(description="The status as the network sent it.")]
    payout: MoneyText
    payout_text: Annotated[str, Meta(description="The payout as the network sent it.")]
    flags: list[str]
    first_of_click: bool
    test: bool
    campaign_id: int
    source_id: int
    offer_id: int
    network_id: int
    external_id: str
    params: dict[str, str]
    events: dict[str, str]
    others: Annotated[dict[str, str], Meta(description="Unknown parameters, as received.")]
    converted_at: Moment
    created_at: Moment
    updated_at: Moment
    version: Annotated[int, Meta(description="1 for a new conversion. Every change adds one.")]


class ChangeView(msgspec.Struct, kw_only=True):
    """An entry of a conversion's history."""

    version: int
    at: Moment
    notice_id: str
    before: Annotated[ConversionView | None, Meta(description="null for a new conversion.")]
    after: ConversionView


class ConversionHistoryView(msgspec.Struct, kw_only=True):
    """A conversion and its changes."""

    conversion: ConversionView
    history: list[ChangeView]


def conversion_view(conversion: Conversion) -> ConversionView:
    """Return the view of a conversion."""
    parameters = conversion.parameters
    return view_of(
        ConversionView,
        conversion,
        conversion.click,
        params={f"param{number}": readable(value) for number, value in parameters.params.items()},
        events={f"event{number}": readable(value) for number, value in parameters.events.items()},
        others={readable(name): readable(value) for name, value in parameters.others.items()},
    )


def find_conversion_history(tx: Connection, conversion_id: str) -> ConversionHistoryView | None:
    """Return the view of a conversion and its newest changes, in the order in which they were made."""
    conversion = find_conversion(tx, conversion_id)
    if conversion is None:
        return None
    changes = newest_changes(tx, [conversion_id], MAX_CHANGES)
    return ConversionHistoryView(
        conversion=conversion_view(conversion), history=[_change_view(change) for change in changes]
    )


def _change_view(change: RecordedChange) -> ChangeView:
    before = conversion_view(change.before) if change.before else None
    return view_of(ChangeView, change, before=before, after=conversion_view(change.after))
