"""What the logs' endpoints share: views of clicks and conversions, and the check of a status that a log is narrowed by."""

from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import Connection

from clickloop.click.click import Click
from clickloop.conversion.conversion import Conversion
from clickloop.conversion.status import CountsAs
from clickloop.log_filter import LogFilter, fields_of, narrows
from clickloop.setup.fault import FaultCode
from clickloop.setup.money_text import MoneyText, money_text
from clickloop.setup.source_rows import V_ROWS
from clickloop.store.ledger.setup.statuses import status_rows
from clickloop.store.period import period_of
from clickloop.web.api.problem import invalid
from clickloop.web.api.wire import Moment, moment_text, shown

_CLICK_TEXTS = (
    *("external_id", "target", "domain", "ip", "country", "language", "useragent", "referrer"),
    *("device", "brand", "model", "os", "os_version", "browser", "browser_version"),
)


class ClickView(msgspec.Struct, kw_only=True):
    """A click as it was recorded. Empty texts are not known; ids of 0 mean none."""

    click_id: Annotated[str, Meta(examples=["01kaqj6z8m4x2c9v7b5n3t1w0y"])]
    at: Moment
    campaign_id: int
    source_id: int
    offer_id: int
    network_id: int
    external_id: Annotated[str, Meta(description="The source's click id.")]
    cost: MoneyText
    target: Annotated[str, Meta(description="Where the visitor was sent.")]
    domain: str
    ip: str
    country: str
    language: str
    useragent: str
    referrer: str
    device: str
    brand: str
    model: str
    os: str
    os_version: str
    browser: str
    browser_version: str
    unique: bool
    screening: Annotated[str, Meta(description="Why it is not counted; empty: it is.")]
    flags: Annotated[list[str], Meta(description="What was odd about it.")]
    parameters: Annotated[dict[str, str], Meta(description="V1 to V30 as far as they came.", examples=[{"v1": "42"}])]


class StatusName(msgspec.Struct, kw_only=True):
    """A status of a conversion."""

    key: Annotated[str, Meta(examples=["sale"])]
    name: str
    counts_as: CountsAs


class ConversionView(msgspec.Struct, kw_only=True):
    """A conversion as it stands."""

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
    others: Annotated[dict[str, str], Meta(description="Parameters that we do not know, as they came.")]
    converted_at: Moment
    created_at: Moment
    updated_at: Moment
    version: Annotated[int, Meta(description="1 when new; every change adds one.")]


def click_view(click: Click) -> ClickView:
    """A click for JSON."""
    values = {f"v{number}": getattr(click, f"v{number}") for number in V_ROWS}
    return ClickView(
        click_id=click.click_id,
        at=moment_text(click.at),
        campaign_id=click.campaign_id,
        source_id=click.source_id,
        offer_id=click.offer_id,
        network_id=click.network_id,
        cost=money_text(click.cost_micros, click.cost_currency),
        unique=click.unique,
        screening=click.screening,
        flags=click.flags.split(",") if click.flags else [],
        parameters={name: shown(value) for name, value in values.items() if value},
        **{name: shown(getattr(click, name)) for name in _CLICK_TEXTS},
    )


def conversion_view(conversion: Conversion) -> ConversionView:
    """A conversion for JSON."""
    click, parameters = conversion.click, conversion.parameters
    return ConversionView(
        conversion_id=conversion.conversion_id,
        click_id=click.click_id,
        txid=shown(conversion.txid),
        status=StatusName(
            key=conversion.status.key, name=shown(conversion.status.name), counts_as=conversion.status.counts_as
        ),
        status_word=shown(conversion.status_word),
        payout=money_text(conversion.payout.micros, conversion.payout.currency),
        payout_text=shown(conversion.payout_text),
        flags=list(conversion.flags),
        first_of_click=conversion.first_of_click,
        test=conversion.test,
        campaign_id=click.campaign_id,
        source_id=click.source_id,
        offer_id=click.offer_id,
        network_id=click.network_id,
        external_id=shown(click.external_id),
        params={f"param{number}": shown(value) for number, value in parameters.params.items()},
        events={f"event{number}": shown(value) for number, value in parameters.events.items()},
        others={shown(name): shown(value) for name, value in parameters.others.items()},
        converted_at=moment_text(conversion.converted_at),
        created_at=moment_text(conversion.created_at),
        updated_at=moment_text(conversion.updated_at),
        version=conversion.version,
    )


def refuse_everything(wanted: LogFilter) -> None:
    """Raise InvalidInputError for a filter of a job that leaves nothing out, and for a period that cannot be read."""
    period_of(wanted)
    if not narrows(wanted):
        known = ", ".join(field.name for field in fields_of(type(wanted)))
        raise invalid("", FaultCode.REQUIRED, f"Nothing narrows it down: give at least one of {known}.")


def refuse_unknown_status(tx: Connection, key: str | None) -> None:
    """Raises InvalidInputError naming the field ``status`` when there is no status of that key, so that a slip is not an empty list."""
    known = [row.status.key for row in status_rows(tx)]
    if key is not None and key not in known:
        raise invalid("status", FaultCode.NOT_FOUND, f"There is no status {key!r}; known are {', '.join(known)}.")
