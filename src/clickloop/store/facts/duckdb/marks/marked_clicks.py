"""Reading clicks with what their marks are judged by from DuckDB, and what happened on landings."""

from collections.abc import Collection

import duckdb

from clickloop.click.marks.landing_views import LandingDay, LandingWatch
from clickloop.click.marks.mark_correction import MarkCorrection, MarkProgress
from clickloop.click.marks.marked_click import ClickSpan, MarkedClick
from clickloop.clock import DAY_MS
from clickloop.report.click_rows import ConversionSum
from clickloop.store.facts.duckdb.columns import quoted

_NUMBERS = frozenset({"campaign_id", "source_id", "landing_id", "cost_micros"})
_COMPUTED = frozenset({"click_id", "at", "marks", "viewed_at", "pressed_ms"})
_COUNTED = "clicks = 1 AND correction IS NULL"


def _clicks(click_filter: str, page_filter: str = "", corrected_filter: str = "true") -> str:
    """Return the query of clicks; ``page_filter`` selects the page events of the same clicks, empty for none."""
    plain = "".join(
        f"coalesce({quoted(name)}, {0 if name in _NUMBERS else chr(39) * 2}), "
        for name in MarkedClick._fields
        if name not in _COMPUTED
    )
    marks = "coalesce(corrected_marks, marks, '')"  # an empty text: corrected to none
    of_page = (
        f"""
        LEFT JOIN (
            SELECT of_click_id AS page_id, min(fact_at) FILTER (kind = 'landing_view') AS viewed_at,
                   min(fact_at - coalesce(view_before, click_at)) FILTER (kind = 'landing_click') AS pressed_ms
            FROM (
                -- A view of the same millisecond comes first.
                SELECT of_click_id, click_at, fact_at, kind, max(fact_at) FILTER (kind = 'landing_view') OVER (
                    PARTITION BY of_click_id ORDER BY fact_at, kind DESC ROWS UNBOUNDED PRECEDING
                ) AS view_before
                FROM facts
                WHERE kind IN ('landing_view', 'landing_click') AND screening IS NULL AND {page_filter}
            ) GROUP BY of_click_id
        ) AS page ON click_id = page_id
        """  # noqa: S608 – names are ours, values are bound
        if page_filter
        else ""
    )
    return f"""
    SELECT click_id, click_at, {plain}{marks}{", viewed_at, pressed_ms" if page_filter else ""}
    FROM facts LEFT JOIN (
        SELECT click_id AS corrected_id, marks AS corrected_marks FROM corrected_clicks WHERE {corrected_filter}
    ) AS corrected ON click_id = corrected_id
    {of_page}
    WHERE {_COUNTED} AND {click_filter}
    """  # noqa: S608 – names are ours, values are bound


_OF_SPAN = "click_at >= $since AND click_at < $until AND (len($campaign_ids::BIGINT[]) = 0 OR campaign_id = ANY($campaign_ids))"
_COUNT = f"SELECT count(*) FROM facts WHERE {_COUNTED} AND {_OF_SPAN}"  # noqa: S608 – a constant
# Only ids: the rest of a batch is read without sorting it.
_END = (
    f"SELECT max(click_id) FROM (SELECT click_id FROM facts WHERE {_COUNTED} AND {_OF_SPAN} AND click_id > $after "  # noqa: S608
    "ORDER BY click_id LIMIT $limit)"
)
_IN_RANGE = "click_id > $after AND click_id <= $last"
_BATCH = _clicks(f"{_OF_SPAN} AND {_IN_RANGE}", corrected_filter=_IN_RANGE)
_PAGE_IN_RANGE = "of_click_id > $after AND of_click_id <= $last"
_BATCH_WITH_PAGE = _clicks(f"{_OF_SPAN} AND {_IN_RANGE}", _PAGE_IN_RANGE, _IN_RANGE)
_OF_IDS = "click_id = ANY($ids) AND click_id BETWEEN $first AND $last"
_WITH_IDS = _clicks(_OF_IDS, "of_click_id = ANY($ids) AND of_click_id BETWEEN $first AND $last", _OF_IDS)
_WATCHED = f"""
SELECT of_click_id FROM facts
WHERE kind = 'landing_click' AND screening IS NULL AND fact_at > $since AND fact_at <= $until
UNION
SELECT click_id FROM (
    SELECT click_id, click_at, coalesce(waits.wait_ms, $usual_wait_ms) AS wait FROM facts LEFT JOIN (
        SELECT unnest($campaign_ids::BIGINT[]) AS of_campaign, unnest($wait_ms::BIGINT[]) AS wait_ms
    ) AS waits ON campaign_id = of_campaign
    WHERE {_COUNTED} AND landing_id IS NOT NULL AND click_at > $since - $longest AND click_at <= $until - $shortest
) WHERE wait > 0 AND click_at + wait > $since AND click_at + wait <= $until
"""  # noqa: S608 – names are ours, values are bound
_OLDEST = "SELECT min(fact_at) FROM facts WHERE fact_at > $after AND status_key IS NULL"
_FIRST_VIEWS = f"""
SELECT landing_id, fact_at // {DAY_MS}, min(fact_at) FROM facts
WHERE kind = 'landing_view' AND landing_views = 1 AND landing_id IS NOT NULL AND fact_at >= $since AND fact_at < $until
GROUP BY ALL
"""  # noqa: S608 – a constant
_EARNED = """
SELECT of_click_id, coalesce(currency, ''), sum(conversions), sum(revenue_micros), sum(pending_micros) FROM facts
WHERE kind = 'conversion' AND of_click_id BETWEEN $first AND $last GROUP BY of_click_id, currency
"""
_PROGRESS = """
SELECT coalesce(max(batch), 0), coalesce(max(last_click_id), ''), coalesce(sum(judged), 0), coalesce(sum(changed), 0)
FROM mark_batches WHERE job_id = $job_id
"""
_HISTORY = """
SELECT job_id, corrected_at, marks_before, marks_after FROM mark_changes WHERE click_id = $click_id
ORDER BY corrected_at, job_id, batch
"""


def count(reader: duckdb.DuckDBPyConnection, span: ClickSpan) -> int:
    """Return the number of clicks."""
    row = reader.execute(_COUNT, _span(span)).fetchone()
    return int(row[0]) if row else 0


def clicks(
    reader: duckdb.DuckDBPyConnection, span: ClickSpan, limit: int, after_click_id: str, *, with_page: bool
) -> list[MarkedClick]:
    """Return the first clicks after an id, in the order of their ids."""
    begin = _span(span) | {"after": after_click_id}
    end = reader.execute(_END, begin | {"limit": limit}).fetchone()
    if end is None or end[0] is None:
        return []
    statement = _BATCH_WITH_PAGE if with_page else _BATCH
    rows = reader.execute(statement, begin | {"last": end[0]}).fetchall()
    rows.sort()
    return list(map(MarkedClick._make, rows if with_page else [(*row, None, None) for row in rows]))


def clicks_of(reader: duckdb.DuckDBPyConnection, click_ids: Collection[str]) -> list[MarkedClick]:
    """Return the counted clicks with these ids, in the order of their ids."""
    if not click_ids:
        return []
    ids = {"ids": list(click_ids), "first": min(click_ids), "last": max(click_ids)}
    return [MarkedClick._make(row) for row in sorted(reader.execute(_WITH_IDS, ids).fetchall())]


def watched(reader: duckdb.DuckDBPyConnection, watch: LandingWatch) -> list[str]:
    """Return the ids of clicks whose button was pressed then, or whose time for a view ended then."""
    waits = [wait_ms for wait_ms in (*watch.wait_ms, watch.usual_wait_ms) if wait_ms] or [0]
    parameters = {
        "since": watch.since,
        "until": watch.until,
        "campaign_ids": list(watch.campaign_ids),
        "wait_ms": list(watch.wait_ms),
        "usual_wait_ms": watch.usual_wait_ms,
        # Bounds without the campaign's own wait, by which the engine skips row groups.
        "longest": max(waits),
        "shortest": min(waits),
    }
    return [str(row[0]) for row in reader.execute(_WATCHED, parameters).fetchall()]


def oldest_at(reader: duckdb.DuckDBPyConnection, after: int) -> int | None:
    """Return when the first click or page event after a moment came."""
    row = reader.execute(_OLDEST, {"after": after}).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def first_views(reader: duckdb.DuckDBPyConnection, since: int, until: int) -> dict[LandingDay, int]:
    """Return the first view of each landing on each day."""
    rows = reader.execute(_FIRST_VIEWS, {"since": since, "until": until}).fetchall()
    return {(int(landing_id), int(day)): int(at) for landing_id, day, at in rows}


def earned(
    reader: duckdb.DuckDBPyConnection, first_click_id: str, last_click_id: str
) -> dict[str, list[ConversionSum]]:
    """Return the conversions of a range of clicks, by click id."""
    found: dict[str, list[ConversionSum]] = {}
    rows = reader.execute(_EARNED, {"first": first_click_id, "last": last_click_id}).fetchall()
    for click_id, currency, *sums in rows:
        found.setdefault(click_id, []).append(ConversionSum(currency, *map(int, sums)))
    return found


def progress(reader: duckdb.DuckDBPyConnection, job_id: str) -> MarkProgress:
    """Return how far a job is."""
    batches, last_click_id, judged, changed = reader.execute(_PROGRESS, {"job_id": job_id}).fetchone() or (0, "", 0, 0)
    return MarkProgress(batches=int(batches), last_click_id=last_click_id, judged=int(judged), changed=int(changed))


def history(reader: duckdb.DuckDBPyConnection, click_id: str) -> list[MarkCorrection]:
    """Return the corrections of a click's marks, oldest first."""
    return [MarkCorrection(*row) for row in reader.execute(_HISTORY, {"click_id": click_id}).fetchall()]


def judged_to(reader: duckdb.DuckDBPyConnection) -> int:
    """Return the moment up to which late marks have been judged."""
    row = reader.execute("SELECT judged_to FROM late_marks").fetchone()
    return int(row[0]) if row else 0


def _span(span: ClickSpan) -> dict[str, object]:
    return {"since": span.since, "until": span.until, "campaign_ids": list(span.campaign_ids)}
