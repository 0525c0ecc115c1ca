"""The closed catalogue of macros: canonical name, aliases, group, a sentence for people, an example.

Aliases are the spellings of PeerClick, Voluum, Binom, Keitaro and RedTrack, so that a URL copied from there works.
"""

import enum
from collections.abc import Iterator, Mapping

import msgspec

TOKENS = 30
PARAMS = 20
EVENTS = 30


class Group(enum.StrEnum):
    """Under which heading a macro is listed."""

    IDS = "ids"
    MONEY = "money"
    STATUS = "status"
    SETUP = "setup"
    PARAMETERS = "parameters"
    VISITOR = "visitor"
    TIME = "time"
    ALARM = "alarm"


class Macro(msgspec.Struct, frozen=True):
    """One macro. ``at_click``: whether it has a value when the visitor is redirected (offer and landing URLs).

    ``available``: whether anything fills it in. One that is not is known all the same, so that a URL copied from another tracker
    does not send the braces; it is always empty, and nobody is offered it.
    """

    name: str
    aliases: tuple[str, ...]
    group: Group
    sentence: str
    example: str
    at_click: bool
    available: bool = True


def _single() -> Iterator[Macro]:
    for group, at_click, name, aliases, sentence, example in _ROWS:
        yield Macro(name, tuple(aliases.split()), group, sentence, example, at_click, name not in _NOT_YET)


_NOT_YET = frozenset({"landing.id", "landing.name", "path.name", "region", "city", "isp", "connection"})
"""Nothing gives these a value: there are neither landings nor paths, and the base of places knows countries alone."""


_I, _M, _S, _U, _V, _T = Group.IDS, Group.MONEY, Group.STATUS, Group.SETUP, Group.VISITOR, Group.TIME
_A = Group.ALARM
_ROWS: tuple[tuple[Group, bool, str, str, str, str], ...] = (
    (_I, True, "clickid", "click_id subid cid", "Our click id.", "01kaqj6z8m4x2c9v7b5n3t1w0y"),
    (_I, True, "externalid", "external_id ref_id", "The traffic source's own click id, byte for byte.", "w9Xk2-7fA"),
    (_I, False, "txid", "transaction_id transaction.id tid", "The network's transaction id.", "T-10087"),
    (
        _I,
        False,
        "conversion_id",
        "conversion.id",
        "The conversion_id of the notice, else our own.",
        "01kaqm3r5s0d8e6f4g2h1j9k7p",
    ),
    (
        _I,
        False,
        "postback_id",
        "postback.id",
        "The id of this postback; the same at every attempt.",
        "01kaqm3r7t2a4b6c8d0e1f3g5h",
    ),
    (_M, False, "payout", "revenue", "What the conversion pays.", "12.5"),
    (_M, False, "currency", "cnv_currency", "Currency of the payout (ISO 4217).", "USD"),
    (_M, True, "cost", "clickcost", "What the click cost.", "0.035"),
    (_M, False, "profit", "", "Payout less cost.", "12.465"),
    (_S, False, "conversion", "status cnv_status", "The status word as the network sent it.", "approved"),
    (_S, False, "conversion.group", "conversion_group", "The name of our status that the word belongs to.", "Sale"),
    (_S, False, "conversion.key", "conversion_key conversion_type", "The key of our status.", "sale"),
    (_U, True, "campaign.id", "campaign_id", "Number of the campaign.", "17"),
    (_U, True, "campaign.name", "campaign_name", "Name of the campaign.", "Sweepstakes US"),
    (_U, True, "campaign.key", "campaign_key", "Key of the campaign, as in its link.", "15Gptd"),
    (_U, True, "trafficsource.id", "trafficsource_id traffic_source_id", "Number of the traffic source.", "3"),
    (
        _U,
        True,
        "trafficsource.name",
        "trafficsource_name traffic_source_name",
        "Name of the traffic source.",
        "Clickadu",
    ),
    (_U, True, "offer.id", "offer_id", "Number of the offer.", "8"),
    (_U, True, "offer.name", "offer_name", "Name of the offer.", "Gift card"),
    (
        _U,
        True,
        "network.id",
        "network_id offersource.id offersource_id affiliatenetwork.id affiliate_network_id",
        "Number of the network.",
        "5",
    ),
    (
        _U,
        True,
        "network.name",
        "network_name offersource.name offersource_name affiliatenetwork.name affiliate_network_name",
        "Name of the network.",
        "Everflow",
    ),
    (_U, True, "landing.id", "landing_id lander.id lander_id", "Number of the landing.", "4"),
    (_U, True, "landing.name", "landing_name lander.name lander_name", "Name of the landing.", "Quiz"),
    (_U, True, "path.name", "path_name", "Name of the path that the visitor took.", "Main"),
    (
        _U,
        False,
        "rule.name",
        "rule_name",
        "In a postback the name of its rule.",
        "Sales above 10 USD",
    ),
    (_U, True, "domain", "trackingdomain", "The domain under which the click came.", "go.example.com"),
    (_V, True, "ip", "", "The visitor's address.", "203.0.113.7"),
    (_V, True, "country", "country_code", "The visitor's country, two letters.", "US"),
    (_V, True, "country.name", "country_name countryname", "The visitor's country in English.", "United States"),
    (_V, True, "region", "", "The visitor's region.", "California"),
    (_V, True, "city", "", "The visitor's city.", "San Jose"),
    (_V, True, "isp", "", "The visitor's internet provider.", "Comcast"),
    (_V, True, "connection", "connection_type connection.type", "Kind of the visitor's connection.", "mobile"),
    (_V, True, "language", "", "First language that the browser asks for.", "pt-br"),
    (_V, True, "useragent", "user_agent", "The browser's User-Agent.", "Mozilla/5.0"),
    (_V, True, "referrer", "referer", "The page that the visitor came from.", "https://news.example/"),
    (_V, True, "device", "device_type", "mobile, tablet, desktop, tv or bot.", "mobile"),
    (_V, True, "brand", "device_brand", "Maker of the device.", "Samsung"),
    (_V, True, "model", "device_model", "Model of the device.", "SM-S918B"),
    (_V, True, "os", "os_name", "Operating system.", "Android"),
    (_V, True, "os.version", "os_version osversion", "Version of the operating system.", "14"),
    (_V, True, "browser", "browser_name", "Browser.", "Chrome Mobile"),
    (_V, True, "browser.version", "browser_version browserversion", "Version of the browser.", "131"),
    (_V, True, "unique", "is_unique", "1 for a visitor who came for the first time, else 0.", "1"),
    (_T, True, "click_time", "visit_time", "Moment of the click, in Unix seconds.", "1767225600"),
    (_T, False, "conversion_time", "", "Moment of the conversion, in Unix seconds.", "1767229200"),
    (_T, True, "now", "", "This moment, in Unix seconds.", "1767229201"),
    (
        _A,
        False,
        "alarm",
        "alarm.sentence",
        "In alarm rules only: what is wrong, as a sentence.",
        "The journal is 61 s behind.",
    ),
    (_A, False, "alarm.code", "", "In alarm rules only: the kind of alarm, for programs.", "journal_lag"),
    (_A, False, "alarm.state", "", "In alarm rules only: begun, standing (a daily reminder), ended or test.", "begun"),
    (_A, False, "alarm.since", "", "In alarm rules only: when it began, in Unix seconds.", "1767229140"),
)


def _numbered() -> Iterator[Macro]:
    for n in range(1, TOKENS + 1):
        aliases = (f"t{n}", f"v{n}", f"var{n}", f"sub_id_{n}")
        yield Macro(f"token{n}", aliases, Group.PARAMETERS, f"Row V{n} of the traffic source.", "4711", True)
    for n in range(1, PARAMS + 1):
        yield Macro(f"param{n}", (), Group.PARAMETERS, f"param{n} of the network's notice.", "blue", False)
    for n in range(1, EVENTS + 1):
        yield Macro(f"event{n}", (), Group.PARAMETERS, f"event{n} of the network's notice, a number.", "3", False)


KNOWN: tuple[Macro, ...] = (*_single(), *_numbered())
BY_NAME: Mapping[str, Macro] = {macro.name: macro for macro in KNOWN}
CANONICAL_OF_ALIAS: Mapping[str, str] = {alias: macro.name for macro in KNOWN for alias in macro.aliases}
