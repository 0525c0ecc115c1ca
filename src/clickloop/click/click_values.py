"""Macro values that come from a click."""

from collections.abc import Callable, Iterable

import msgspec

from clickloop.click.click import Click
from clickloop.click.country import country_name
from clickloop.money import amount_text
from clickloop.setup.source_rows import V_ROWS


class SetupNames(msgspec.Struct, frozen=True, gc=False):
    """Names from a click's set-up, for macros such as ``{campaign.name}``. Empty: no such record."""

    campaign_key: str = ""
    campaign_name: str = ""
    source_name: str = ""
    offer_name: str = ""
    network_name: str = ""
    landing_name: str = ""
    rule_name: str = ""
    path_name: str = ""


def click_values(names: Iterable[str], click: Click, setup: SetupNames) -> dict[str, str]:
    """Return the values of those macros in ``names`` (canonical) that a click provides."""
    values = {}
    for name in names:
        value_of = _VALUES.get(name)
        if value_of is not None:
            values[name] = value_of(click, setup)
    return values


def click_value(name: str, click: Click, setup: SetupNames) -> str:
    """Return the value of a macro; empty if a click does not provide it."""
    value_of = _VALUES.get(name)
    return value_of(click, setup) if value_of else ""


def setup_values(click: Click, setup: SetupNames) -> dict[str, str]:
    """Return the values shared by all clicks that a campaign sends to an offer."""
    return click_values(_OF_SETUP, click, setup)


def _number(number: int) -> str:
    return str(number) if number else ""


_VALUES: dict[str, Callable[[Click, SetupNames], str]] = {
    "clickid": lambda click, setup: click.click_id,
    "externalid": lambda click, setup: click.external_id,
    "cost": lambda click, setup: amount_text(click.cost_micros) if click.cost_currency else "",
    "campaign.id": lambda click, setup: _number(click.campaign_id),
    "campaign.name": lambda click, setup: setup.campaign_name,
    "campaign.key": lambda click, setup: setup.campaign_key,
    "trafficsource.id": lambda click, setup: _number(click.source_id),
    "trafficsource.name": lambda click, setup: setup.source_name,
    "offer.id": lambda click, setup: _number(click.offer_id),
    "offer.name": lambda click, setup: setup.offer_name,
    "network.id": lambda click, setup: _number(click.network_id),
    "network.name": lambda click, setup: setup.network_name,
    "landing.id": lambda click, setup: _number(click.landing_id),
    "landing.name": lambda click, setup: setup.landing_name,
    "rule.name": lambda click, setup: setup.rule_name,
    "path.name": lambda click, setup: setup.path_name,
    "domain": lambda click, setup: click.domain,
    "ip": lambda click, setup: click.ip,
    "country": lambda click, setup: click.country,
    "country.name": lambda click, setup: country_name(click.country),
    "region": lambda click, setup: click.region,
    "city": lambda click, setup: click.city,
    "isp": lambda click, setup: click.isp,
    "connection": lambda click, setup: click.connection,
    "language": lambda click, setup: click.language,
    "useragent": lambda click, setup: click.useragent,
    "referrer": lambda click, setup: click.referrer,
    "device": lambda click, setup: click.device,
    "brand": lambda click, setup: click.brand,
    "model": lambda click, setup: click.model,
    "os": lambda click, setup: click.os,
    "os.version": lambda click, setup: click.os_version,
    "browser": lambda click, setup: click.browser,
    "browser.version": lambda click, setup: click.browser_version,
    "unique": lambda click, setup: "1" if click.unique else "0",
    "click_time": lambda click, setup: str(click.at // 1000),
}


def _token_value(number: int) -> Callable[[Click, SetupNames], str]:
    field = f"v{number}"
    return lambda click, setup: getattr(click, field)


_VALUES |= {f"token{number}": _token_value(number) for number in V_ROWS}

_OF_SETUP = (
    "campaign.id",
    "campaign.name",
    "campaign.key",
    "trafficsource.id",
    "trafficsource.name",
    "offer.id",
    "offer.name",
    "network.id",
    "network.name",
    "landing.id",
    "landing.name",
    "rule.name",
    "path.name",
)
