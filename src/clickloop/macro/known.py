"""The catalog of macros: canonical name, aliases, group, description and example.

Aliases are the spellings of PeerClick, Voluum, Binom, Keitaro and RedTrack, so that URLs copied from there work.
"""

import enum
from collections.abc import Iterator, Mapping

import msgspec

TOKENS = 30
PARAMS = 20
EVENTS = 30


class MacroCategory(enum.StrEnum):
    """The heading under which a macro is listed."""

    IDS = "ids"
    MONEY = "money"
    STATUS = "status"
    SETUP = "setup"
    PARAMETERS = "parameters"
    VISITOR = "visitor"
    TIME = "time"
    ALARM = "alarm"
    VIEW = "view"


class Macro(msgspec.Struct, frozen=True):
    """A macro. ``at_click``: whether it has a value when the visitor is redirected (offer and landing URLs).

    ``needs_base``: whether only a geo base of the user's can fill it in. Without one it is empty and not offered to users, but known,
    so that a URL copied from another tracker does not send the braces.
    """

    name: str
    aliases: tuple[str, ...]
    group: MacroCategory
    sentence: str
    example: str
    at_click: bool
    needs_base: bool = False


def _single() -> Iterator[Macro]:
    for group, at_click, name, aliases, sentence, example in _ROWS:
        yield Macro(name, tuple(aliases.split()), group, sentence, example, at_click, name in _NEED_BASE)


_NEED_BASE = frozenset({"region", "city", "isp", "connection"})
"""The included geo base has countries alone."""


_I, _M, _S, _U, _V, _T = (
    MacroCategory.IDS,
    MacroCategory.MONEY,
    MacroCategory.STATUS,
    MacroCategory.SETUP,
    MacroCategory.VISITOR,
    MacroCategory.TIME,
)
_A, _W = MacroCategory.ALARM, MacroCategory.VIEW
_ROWS: tuple[tuple[MacroCategory, bool, str, str, str, str], ...] = (
    (_I, True, "clickid", "click_id subid cid", "Our click ID.", "01kaqj6z8m4x2c9v7b5n3t1w0y"),
    (_I, True, "externalid", "external_id ref_id", "The traffic source's click ID, unchanged.", "w9Xk2-7fA"),
    (_I, False, "txid", "transaction_id transaction.id tid", "The network's transaction ID.", "T-10087"),
    (
        _I,
        False,
        "conversion_id",
        "conversion.id",
        "The conversion_id that the network sent, otherwise our own.",
        "01kaqm3r5s0d8e6f4g2h1j9k7p",
    ),
    (
        _I,
        False,
        "postback_id",
        "postback.id",
        "ID of the postback, the same for every attempt.",
        "01kaqm3r7t2a4b6c8d0e1f3g5h",
    ),
    (_M, False, "payout", "revenue", "Payout of the conversion.", "12.5"),
    (_M, False, "currency", "cnv_currency", "Currency of the payout (ISO 4217).", "USD"),
    (_M, True, "cost", "clickcost", "Cost of the click.", "0.035"),
    (_M, False, "profit", "", "Payout less cost.", "12.465"),
    (_S, False, "conversion", "status cnv_status", "Status as the network sent it.", "approved"),
    (_S, False, "conversion.group", "conversion_group", "Name of our status.", "Sale"),
    (_S, False, "conversion.key", "conversion_key conversion_type", "Key of our status.", "sale"),
    (_U, True, "campaign.id", "campaign_id", "Campaign ID.", "17"),
    (_U, True, "campaign.name", "campaign_name", "Campaign name.", "Sweepstakes US"),
    (_U, True, "campaign.key", "campaign_key", "Campaign key, as in its link.", "15Gptd"),
    (_U, True, "trafficsource.id", "trafficsource_id traffic_source_id", "Traffic source ID.", "3"),
    (
        _U,
        True,
        "trafficsource.name",
        "trafficsource_name traffic_source_name",
        "Traffic source name.",
        "Clickadu",
    ),
    (_U, True, "offer.id", "offer_id", "Offer ID.", "8"),
    (_U, True, "offer.name", "offer_name", "Offer name.", "Gift card"),
    (
        _U,
        True,
        "network.id",
        "network_id offersource.id offersource_id affiliatenetwork.id affiliate_network_id",
        "Network ID.",
        "5",
    ),
    (
        _U,
        True,
        "network.name",
        "network_name offersource.name offersource_name affiliatenetwork.name affiliate_network_name",
        "Network name.",
        "Everflow",
    ),
    (_U, True, "landing.id", "landing_id lander.id lander_id", "Landing ID.", "4"),
    (_U, True, "landing.name", "landing_name lander.name lander_name", "Landing name.", "Quiz"),
    (_U, True, "path.name", "path_name", "Name of the visitor's path.", "Main"),
    (
        _U,
        True,
        "rule.name",
        "rule_name",
        "In landing and offer URLs, the name of the rule that took the visitor; in postbacks, that of the postback rule.",
        "US mobile",
    ),
    (_U, True, "domain", "trackingdomain", "Domain of the click.", "go.example.com"),
    (_V, True, "ip", "", "The visitor's IP address.", "203.0.113.7"),
    (_V, True, "country", "country_code", "The visitor's country, as a two-letter code.", "US"),
    (_V, True, "country.name", "country_name countryname", "The visitor's country in English.", "United States"),
    (_V, True, "region", "", "The visitor's region (ISO 3166-2).", "US-CA"),
    (_V, True, "city", "", "The visitor's city.", "San Jose"),
    (_V, True, "isp", "", "The visitor's internet provider.", "Comcast"),
    (
        _V,
        True,
        "connection",
        "connection_type connection.type",
        "mobile, broadband, corporate, dialup or satellite.",
        "mobile",
    ),
    (_V, True, "language", "", "The browser's preferred language.", "pt-br"),
    (_V, True, "useragent", "user_agent", "The browser's User-Agent.", "Mozilla/5.0"),
    (_V, True, "referrer", "referer", "Page that the visitor came from.", "https://news.example/"),
    (_V, True, "device", "device_type", "mobile, tablet, desktop, tv or bot.", "mobile"),
    (_V, True, "brand", "device_brand", "Device brand.", "Samsung"),
    (_V, True, "model", "device_model", "Device model.", "SM-S918B"),
    (_V, True, "os", "os_name", "Operating system.", "Android"),
    (_V, True, "os.version", "os_version osversion", "Operating system version.", "14"),
    (_V, True, "browser", "browser_name", "Browser.", "Chrome Mobile"),
    (_V, True, "browser.version", "browser_version browserversion", "Browser version.", "131"),
    (
        _V,
        True,
        "unique",
        "is_unique",
        "1 for a unique click, otherwise 0. A redirect knows the cookie only.",
        "1",
    ),
    (_T, True, "click_time", "visit_time", "Time of the click, in Unix seconds.", "1767225600"),
    (_T, False, "conversion_time", "", "Time of the conversion, in Unix seconds.", "1767229200"),
    (_T, True, "now", "", "Current time, in Unix seconds.", "1767229201"),
    (
        _A,
        False,
        "alarm",
        "alarm.sentence",
        "In alarm rules: the alarm as a sentence.",
        "The journal is 61 s behind.",
    ),
    (_A, False, "alarm.code", "", "In alarm rules: code of the alarm.", "journal_lag"),
    (_A, False, "alarm.state", "", "In alarm rules: begun, standing (a daily reminder), ended or test.", "begun"),
    (_A, False, "alarm.since", "", "In alarm rules: when it began, in Unix seconds.", "1767229140"),
    (_W, False, "view", "view.name", "In rules for views: the view's name.", "Zones that lose money"),
    (_W, False, "view.csv", "", "In rules for views: the report as CSV.", "Campaign,Clicks"),
    (_W, False, "view.file", "", "In rules for views: name of the CSV file.", "view-7-2026-03-01.csv"),
    (
        _W,
        False,
        "view.remark",
        "",
        "In rules for views: that the file is late or cut; otherwise empty.",
        "Late: it was due 2026-03-01 08:00 UTC.",
    ),
)


def _numbered() -> Iterator[Macro]:
    for n in range(1, TOKENS + 1):
        aliases = (f"t{n}", f"v{n}", f"var{n}", f"sub_id_{n}")
        yield Macro(
            f"token{n}", aliases, MacroCategory.PARAMETERS, f"Parameter V{n} of the traffic source.", "4711", True
        )
    for n in range(1, PARAMS + 1):
        yield Macro(f"param{n}", (), MacroCategory.PARAMETERS, f"param{n} of the incoming postback.", "blue", False)
    for n in range(1, EVENTS + 1):
        yield Macro(
            f"event{n}", (), MacroCategory.PARAMETERS, f"event{n} of the incoming postback, a number.", "3", False
        )


KNOWN: tuple[Macro, ...] = (*_single(), *_numbered())
BY_NAME: Mapping[str, Macro] = {macro.name: macro for macro in KNOWN}
CANONICAL_OF_ALIAS: Mapping[str, str] = {alias: macro.name for macro in KNOWN for alias in macro.aliases}
