"""What people call a field that the API names by its path."""

import re

_NAMES = {
    "addresses": "Allowed IP addresses",
    "again": "Repeated password",
    "click_id_parameter": "Click-id parameter",
    "click_keep_days": "Keep clicks for",
    "click_lifetime_days": "Conversion window",
    "conditions.every_nth": "Send every Nth conversion",
    "conditions.only_first": "Send only for unique",
    "conditions.payout_percent": "Reported payout",
    "cost": "Fixed cost",
    "cost_currency": "Cost currency",
    "cost_model": "Cost model",
    "counts_as": "Counts as",
    "current": "Current password",
    "domain": "Link domain",
    "domains": "Further domains",
    "fallback_url": "Fallback URL",
    "ip_storage": "Visitors’ IP addresses",
    "network_id": "Network",
    "offer_id": "Offer",
    "offer_url_template": "Offer URL template",
    "parameters.parameter": "Parameter",
    "postback_parameters": "Postback URL",
    "postback_parameters.value": "Macro",
    "postback_url": "Postback URL",
    "refuse_duplicates": "Refuse repeated conversions",
    "status_words": "Status words",
    "status_words.value": "Our status",
    "public_url": "Public URL",
    "request.body": "Body text",
    "request.body_kind": "Body",
    "request.secrets": "Secrets to mask",
    "request.url": "URL",
    "source_id": "Traffic source",
    "source_rules_off": "Source’s postbacks off",
    "test_only": "Accept conversions of test clicks only",
    "txid": "Transaction id",
    "url": "Offer URL",
    "waits_seconds": "Retry delays",
}
"""By path without the numbers of rows, where the name does not follow from the last word of it."""

_ROW = re.compile(r"\[([^\]]*)\]")
_UNSAID = frozenset({"request", "conditions", "success", "fill"})
"""Parts of a postback that its form does not name."""
_UNITS = re.compile(r"_(?:seconds|id|days)$")


_PARAMETERS = {
    "cursor": "the place in the list",
    "flagged": "Flag",
    "screening": "Counted",
    "since": "From",
    "until": "Before",
    "sort": "the sorting",
    "watch": "how long to watch",
}
"""Parameters of addresses that lists call by another name than fields."""


def parameter_name(name: str) -> str:
    """Return what people call a parameter of an address."""
    return _PARAMETERS.get(name) or field_name(name)


def field_name(path: str) -> str:
    """A path as the form calls it: ``parameters[2].placeholder`` is ``Parameters, row 3, placeholder``.

    The currency of an amount is told as such, the amount itself by the name of the whole.
    """
    steps = [step for step in path.split(".") if step != "amount"]
    told: list[str] = []
    for at, step in enumerate(steps):
        word = step.partition("[")[0]
        plain = _ROW.sub("", ".".join(steps[: at + 1]))
        if word not in _UNSAID or at + 1 == len(steps):
            name = _NAMES.get(plain) or _NAMES.get(word) or _in_words(word)
            told.append(_begun(name, small=bool(told)))
        told += [f"row {int(row) + 1}" if row.isdecimal() else row for row in _ROW.findall(step)]
    return ", ".join(told)


def _in_words(word: str) -> str:
    return re.sub(r"\burl\b", "URL", _UNITS.sub("", word).replace("_", " "))


def _begun(name: str, *, small: bool) -> str:
    """With a small letter within, a capital at the beginning; a word all in capitals stays."""
    first = name.split(" ", 1)[0]
    if len(first) > 1 and first.isupper():
        return name
    return (name[:1].lower() if small else name[:1].upper()) + name[1:]
