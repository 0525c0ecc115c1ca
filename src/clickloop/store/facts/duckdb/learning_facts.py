"""What the landings and offers of learning paths earned, summed by the engine: no row of a click leaves it."""

from collections.abc import Collection, Mapping, Sequence

from clickloop.learning.evidence import DelayedItem, Delays, ItemCounts, ItemPeriod
from clickloop.report.rate_text import E12
from clickloop.setup.learning import Goal, ItemKind
from clickloop.store.facts.duckdb.connections import Reading

_MICROS = 1_000_000
# Sums, not numbers of rows: a correction is a further row that takes back what another one counted.
_COUNTS = f"""
WITH rates AS (
    SELECT unnest($currencies::VARCHAR[]) AS currency, unnest($rates::BIGINT[])::HUGEINT AS rate_e12
), wanted AS (
    SELECT unnest($paths::BIGINT[]) AS path_id, unnest($kinds::VARCHAR[]) AS kind, unnest($items::BIGINT[]) AS item_id,
           unnest($by_landing_click::BOOLEAN[]) AS by_landing_click,
           unnest($since::BIGINT[]) AS since_at, unnest($until::BIGINT[]) AS until_at
), visits AS (
    SELECT path_id, 'landings' AS kind, landing_id AS item_id, click_at, clicks AS visits FROM facts
    WHERE path_id = ANY($paths) AND click_at >= $first AND click_at < $last AND clicks IS NOT NULL AND landing_id IS NOT NULL
    UNION ALL
    -- Of visitors sent directly, their clicks; of those who came over a landing, their landing clicks.
    SELECT path_id, 'offers', offer_id, click_at, coalesce(clicks, offer_visits) FROM facts
    WHERE path_id = ANY($paths) AND click_at >= $first AND click_at < $last AND coalesce(clicks, offer_visits) IS NOT NULL
        AND offer_id IS NOT NULL
), visit_sums AS (
    SELECT path_id, kind, item_id, sum(visits) AS visits FROM visits JOIN wanted USING (path_id, kind, item_id)
    WHERE click_at >= since_at AND click_at < until_at GROUP BY ALL
), conversions AS (
    SELECT path_id, landing_id, offer_id, click_at, of_click_id,
           CASE WHEN counts_as <> 'rejected' THEN conversions ELSE 0 END AS conversions,
           (revenue_micros + pending_micros) * coalesce(rate_e12, 0) AS money
    FROM facts LEFT JOIN rates USING (currency)
    WHERE path_id = ANY($paths) AND click_at >= $first AND click_at < $last AND status_key IS NOT NULL
), successes AS (
    SELECT path_id, 'landings' AS kind, landing_id AS item_id, false AS by_landing_click, click_at, of_click_id, conversions, money
    FROM conversions WHERE landing_id IS NOT NULL
    UNION ALL SELECT path_id, 'offers', offer_id, false, click_at, of_click_id, conversions, money
    FROM conversions WHERE offer_id IS NOT NULL
    UNION ALL SELECT path_id, 'landings', landing_id, true, click_at, of_click_id, landing_clicks, 0 FROM facts
    WHERE path_id = ANY($paths) AND click_at >= $first AND click_at < $last AND landing_clicks <> 0 AND landing_id IS NOT NULL
), of_visits AS (
    SELECT path_id, kind, item_id, of_click_id, sum(conversions) AS conversions, sum(money) AS money
    FROM successes JOIN wanted USING (path_id, kind, item_id, by_landing_click)
    WHERE click_at >= since_at AND click_at < until_at GROUP BY ALL
), success_sums AS (
    SELECT path_id, kind, item_id, sum(conversions) AS conversions, count(*) FILTER (conversions > 0) AS successes,
           sum(money) // {E12} AS revenue_micros, sum((money::DOUBLE / {E12} / {_MICROS}) ** 2) AS revenue_squares
    FROM of_visits GROUP BY ALL
)
SELECT path_id, kind, item_id, coalesce(visits, 0), coalesce(conversions, 0), coalesce(successes, 0), coalesce(revenue_micros, 0),
       coalesce(revenue_squares, 0)
FROM visit_sums FULL JOIN success_sums USING (path_id, kind, item_id)
"""  # noqa: S608 – constants of ours, values are bound
_DELAYS = """
WITH wanted AS (
    SELECT unnest($kinds::VARCHAR[]) AS kind, unnest($items::BIGINT[]) AS item_id,
           unnest($by_landing_click::BOOLEAN[]) AS by_landing_click
), rows AS (
    SELECT offer_id, landing_id, click_at, fact_at, conversion_id, event_id FROM facts
    WHERE click_at >= $since AND (conversions > 0 OR landing_clicks > 0)
), delayed AS (
    SELECT 'offers' AS kind, offer_id AS item_id, false AS by_landing_click, conversion_id AS id, fact_at - click_at AS delay
    FROM rows WHERE conversion_id IS NOT NULL
    UNION ALL SELECT 'landings', landing_id, false, conversion_id, fact_at - click_at
    FROM rows WHERE conversion_id IS NOT NULL
    UNION ALL SELECT 'landings', landing_id, true, event_id, fact_at - click_at
    FROM rows WHERE event_id IS NOT NULL
), once AS ( -- each change of a status is a row of its own
    SELECT DISTINCT kind, item_id, by_landing_click, id, greatest(delay, 0) AS delay
    FROM delayed JOIN wanted USING (kind, item_id, by_landing_click)
)
SELECT kind, item_id, by_landing_click, count(*), quantile_disc(delay, $percentile) FROM once GROUP BY kind, item_id, by_landing_click
"""


class DuckDbLearningFacts:
    """What learning paths earned, in a DuckDB file."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def counts(
        self, periods: Sequence[ItemPeriod], rates: Mapping[str, int]
    ) -> dict[tuple[int, ItemKind, int], ItemCounts]:
        """Return the sums of the visits of learning paths by path, kind and id, from one statement."""
        periods = [one for one in periods if one.since_at < one.until_at]
        if not periods:
            return {}
        parameters = {
            "currencies": list(rates),
            "rates": list(rates.values()),
            "paths": [one.path_id for one in periods],
            "kinds": [one.kind.value for one in periods],
            "items": [one.item_id for one in periods],
            "by_landing_click": [one.goal is Goal.LANDING_CTR for one in periods],
            "since": [one.since_at for one in periods],
            "until": [one.until_at for one in periods],
            "first": min(one.since_at for one in periods),
            "last": max(one.until_at for one in periods),
        }
        with self._reading() as reader:
            rows = reader.execute(_COUNTS, parameters).fetchall()
        return {
            (int(path_id), ItemKind(kind), int(item_id)): ItemCounts(
                visits=int(visits),
                conversions=int(conversions),
                successes=int(successes),
                revenue_micros=int(revenue),
                revenue_squares=float(squares),
            )
            for path_id, kind, item_id, visits, conversions, successes, revenue, squares in rows
        }

    def delays(self, items: Collection[DelayedItem], since_at: int, percentile: float) -> dict[DelayedItem, Delays]:
        """Return how long the conversions of clicks since then took, by item; absent without any."""
        if not items:
            return {}
        parameters = {
            "kinds": [one.kind.value for one in items],
            "items": [one.item_id for one in items],
            "by_landing_click": [one.by_landing_click for one in items],
            "since": since_at,
            "percentile": percentile,
        }
        with self._reading() as reader:
            rows = reader.execute(_DELAYS, parameters).fetchall()
        return {
            DelayedItem(ItemKind(kind), int(item_id), bool(by_landing_click)): Delays(int(count), int(delay))
            for kind, item_id, by_landing_click, count, delay in rows
        }
