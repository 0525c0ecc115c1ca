"""Display names for field paths of the API and for URL parameters."""

import re

_NAMES = {
    "addresses": "Allowed IP addresses",
    "again": "Repeated password",
    "cap.amount": "Cap",
    "cap.then_offer_id": "Cap, then to",
    "click_id": "Click ID",
    "click_id_parameter": "Click ID parameter",
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
    "domains": "Additional domains",
    "fallback_url": "Fallback URL",
    "ip_storage": "Visitors’ IP addresses",
    "ip_lists": "Listed IP",
    "useragent_lists": "Listed user agent",
    "network_id": "Network",
    "notices": "Incoming postbacks",
    "conversion_cost.amount": "Cost per conversion",
    "conversion_cost.percent": "Share of the payout",
    "conversion_cost.statuses": "Statuses that cost",
    "flow_id": "Shared flow",
    "loss_percent": "Lost clicks",
    "offer_id": "Offer",
    "pass_query": "Pass on",
    "redirect_domain": "Second domain",
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
    "txid": "Transaction ID",
    "unique_by": "Unique on",
    "unique_cost_only": "Only unique clicks cost",
    "unique_within_seconds": "A visitor is unique once per",
    "url": "Offer URL",
    "waits_seconds": "Retry delays",
}
"""By path without row numbers, where the name does not follow from the path's last word."""

_ROW = re.compile(r"\[([^\]]*)\]")
_HIDDEN_STEPS = frozenset({"request", "conditions", "success", "fill"})
"""Steps of a postback rule's paths that its form does not name."""
_UNITS = re.compile(r"_(?:seconds|id|days)$")
_ACRONYMS = re.compile(r"\b(id|ip|url|api|isp|asn)(s?)\b")


_PARAMETERS = {
    "cursor": "page position",
    "flagged": "Flag",
    "screening": "Counted",
    "since": "From",
    "until": "Before",
    "sort": "sort order",
    "watch": "auto-refresh",
}
"""URL parameters whose name differs from the field's."""


def parameter_name(name: str) -> str:
    """Return the display name of a URL parameter."""
    return _PARAMETERS.get(name) or field_name(name)


_IN_FLOW = re.compile(r"(?:flow\.)?(?:rules|default_paths)\[")
_FLOW_PARTS = {
    "rules": "rule",
    "conditions": "condition",
    "default_paths": "default path",
    "paths": "path",
    "landings": "landing",
    "offers": "offer",
}
_FLOW_FIELDS = {"op": "operator", "list_id": "list", "campaign_id": "campaign", "url": "URL", "id": "ID"}
_NUMBERED = re.compile(r"(?:row|offer|landing) (\d+)")


def _flow_field_name(path: str) -> str:
    """Return the display name of a part of a flow: ``rules[0].conditions[1].values`` is ``Rule 1, condition 2, values``."""
    parts: list[str] = []
    for step in path.removeprefix("flow.").split("."):
        word, rows = step.partition("[")[0], _ROW.findall(step)
        if word in _FLOW_PARTS and rows:
            found = _NUMBERED.fullmatch(rows[0])
            number = found[1] if found else str(int(rows[0]) + 1) if rows[0].isdecimal() else f"“{rows[0]}”"
            parts.append(f"{_FLOW_PARTS[word]} {number}")
        elif word not in ("number", "offer_id", "landing_id"):  # the row is named after it
            parts.append(_FLOW_FIELDS.get(word) or in_words(word))
    return _with_case(", ".join(parts), small=False)


def field_name(path: str) -> str:
    """Return the display name of a path: ``parameters[2].placeholder`` is ``Parameters, row 3, placeholder``.

    An amount is named after its whole (``cost.amount``: ``Fixed cost``), its currency in addition.
    """
    if _IN_FLOW.match(path):
        return _flow_field_name(path)
    steps = [step for step in path.split(".") if step != "amount"]
    parts: list[str] = []
    for at, step in enumerate(steps):
        word = step.partition("[")[0]
        plain = _ROW.sub("", ".".join(steps[: at + 1]))
        if word not in _HIDDEN_STEPS or at + 1 == len(steps):
            name = _NAMES.get(plain) or _NAMES.get(word) or in_words(_UNITS.sub("", word))
            parts.append(_with_case(name, small=bool(parts)))
        parts += [f"row {int(row) + 1}" if row.isdecimal() else row for row in _ROW.findall(step)]
    return ", ".join(parts)


def in_words(key: str) -> str:
    """Return a key as words: ``no_click_id`` is ``no click ID``."""
    return _ACRONYMS.sub(lambda found: f"{found[1].upper()}{found[2]}", key.replace("_", " "))


def label(key: str) -> str:
    """Return a key as words with a capital first letter: ``external_id`` is ``External ID``."""
    return _with_case(in_words(key), small=False)


def _with_case(name: str, *, small: bool) -> str:
    """Return the name with a lower-case or capital first letter, unless its first word is an acronym."""
    first = name.split(" ", 1)[0]
    if len(first) > 1 and first.isupper():
        return name
    return (name[:1].lower() if small else name[:1].upper()) + name[1:]
