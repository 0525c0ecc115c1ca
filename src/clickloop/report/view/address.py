"""The address of a report: its parameters as the query of a URL, the same for the API and the panel."""

from collections.abc import Sequence
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import fields, replace

from clickloop.report.filter_input import ReportNames, filters_of
from clickloop.report.query import Dimension, FilterOperator
from clickloop.report.query_input import ReportRequest
from clickloop.setup.fault import FieldFault

_NAMES = {field.name: field.encode_name for field in fields(ReportRequest)}
_PINNED = (FilterOperator.IN, FilterOperator.NOT_IN)


def address_of(request: ReportRequest) -> str:
    """Return the parameters of a report as a query, without those that have their default value."""
    pairs: list[tuple[str, object]] = []
    for name, parameter in _NAMES.items():
        value = getattr(request, name)
        if isinstance(value, list):
            pairs += [(parameter, text) for text in value]
        elif value not in (None, "", 0):
            pairs.append((parameter, value))
    return urlencode(pairs)


def request_of(pairs: Sequence[tuple[str, str]]) -> ReportRequest:
    """Return the report with these parameters. Raise msgspec.ValidationError for unreadable ones; others are ignored."""
    values: dict[str, object] = {}
    kinds = {field.encode_name: field for field in fields(ReportRequest)}
    for name, text in pairs:
        if name not in kinds or not text:
            continue
        if name in _LISTS:
            values.setdefault(name, []).append(text)  # type: ignore[attr-defined]  # a list, as _LISTS says
        else:
            values[name] = text
    return msgspec.convert(values, ReportRequest, strict=False)


_LISTS = frozenset({"group_by", "within", "filter", "column", "formula"})


def kept_request(request: ReportRequest) -> ReportRequest:
    """Return what a view keeps of a report: not the page, and not which rows of a tree are open."""
    return replace(request, within=None, offset=0)


def pinned_filters(texts: Sequence[str], names: ReportNames, zone: ZoneInfo) -> list[str]:
    """Return filters with records by number and statuses by key, so that a rename does not change what they match.

    Others stay as they are, such as parts of names and those that cannot be read.
    """
    pinned: list[str] = []
    for text in texts:
        faults: list[FieldFault] = []
        found = filters_of([text], names, zone, faults)
        one = found[0] if found and not faults else None
        dimension = one.dimension if one is not None else None
        is_named = isinstance(dimension, Dimension) and (dimension.is_number or dimension is Dimension.STATUS)
        # Parts of names follow the names: records that get such a name later match too.
        if one is None or not is_named or one.operator not in _PINNED or "~" in text.partition(":")[0]:
            pinned.append(text)
        else:
            pinned += [f"{one.dimension.key}{one.operator.value}{value}" for value in one.values]
    return list(dict.fromkeys(pinned))
