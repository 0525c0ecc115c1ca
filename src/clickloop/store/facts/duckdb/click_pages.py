"""Pages of the click log: the ids of the clicks that match a filter, newest first."""

import duckdb

from clickloop.click.click_log import ClickFilter, ScreeningFilter
from clickloop.log_filter import narrowing_values
from clickloop.store.period import period_of

_PLACE_FILTERS = ("country", "region", "isp", "connection")
_STORED_AS_NULL = {"external_id": "", "screening": ScreeningFilter.COUNTED} | dict.fromkeys(_PLACE_FILTERS, "")
"""Values of filter fields that are stored as NULL."""

_WITH_MARKS = """(
    SELECT facts.*, coalesce(corrected.marks, facts.marks, '') AS current_marks
    FROM facts LEFT JOIN corrected_clicks AS corrected ON facts.click_id = corrected.click_id
)"""


def click_ids_page(
    reader: duckdb.DuckDBPyConnection, wanted: ClickFilter, limit: int, before_click_id: str
) -> list[str]:
    """Return the ids of a page, newest first. Reads only row groups that may contain the page."""
    period = period_of(wanted)
    filters = {
        "click_id < $before": before_click_id or None,
        "click_at >= $from_at": period.since,
        "click_at < $until_at": period.until,
        **{
            f"{name} = ${name}": value
            for name, value in narrowing_values(wanted)
            if name != "mark" and value != _STORED_AS_NULL.get(name)
        },
        "list_contains(string_split(current_marks, ','), $mark)": wanted.mark or None,
    }
    used = {condition: value for condition, value in filters.items() if value is not None}
    absent = [f"{name} IS NULL" for name, value in narrowing_values(wanted) if value == _STORED_AS_NULL.get(name)]
    absent += ["current_marks = ''"] if wanted.mark == "" else []
    where = " AND ".join(["clicks IS NOT NULL", "correction IS NULL", *absent, *used])
    parameters = {condition.partition("$")[2].rstrip(")"): value for condition, value in used.items()}
    table = "facts" if wanted.mark is None else _WITH_MARKS
    text = f"SELECT click_id FROM {table} WHERE {where} ORDER BY click_id DESC LIMIT {int(limit)}"  # noqa: S608 – names are ours
    return [str(row[0]) for row in reader.execute(text, parameters).fetchall()]
