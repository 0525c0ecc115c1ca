"""Count the visitors that offers got: directly, or by a landing's button."""

from collections.abc import Collection
from typing import Any

from clickloop.clock import HOUR_MS
from clickloop.report.offer_visits import OfferVisits
from clickloop.store.facts.duckdb.connections import Reading

# A click's row and a page event's; the rows of conversions have neither number, and those of corrections add up to 0.
_VISITS = "coalesce(clicks, 0) + coalesce(offer_visits, 0)"
_OF_OFFERS = f"""
SELECT offer_id, sum({_VISITS}), sum({_VISITS}) FILTER ("unique") FROM facts
WHERE offer_id = ANY($offer_ids) AND fact_at >= $since AND fact_at < $until GROUP BY offer_id
"""  # noqa: S608 – a constant
_BY_HOUR = f"""
SELECT offer_id, fact_at - fact_at % {HOUR_MS}, sum({_VISITS}), sum({_VISITS}) FILTER ("unique") FROM facts
WHERE offer_id = ANY($offer_ids) AND fact_at >= $since GROUP BY ALL
"""  # noqa: S608 – constants
_SENT_ON = f"""
SELECT coalesce(offer_id, 0), sum({_VISITS}) FROM facts
WHERE instead_of = $offer_id AND fact_at >= $since AND fact_at < $until GROUP BY offer_id HAVING sum({_VISITS}) > 0
"""  # noqa: S608 – a constant


class DuckDbOfferVisitCounts:
    """The counts of offer visits in a DuckDB file."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def in_period(self, offer_ids: Collection[int], since: int, until: int) -> dict[int, OfferVisits]:
        """Return the counted visits of offers in a period; absent without any. Row groups from before it are not read."""
        parameters = {"offer_ids": sorted(offer_ids), "since": since, "until": until}
        rows = self._rows(_OF_OFFERS, parameters)
        return {offer_id: OfferVisits(visits or 0, unique or 0) for offer_id, visits, unique in rows}

    def by_hour(self, offer_ids: Collection[int], since: int) -> dict[int, dict[int, OfferVisits]]:
        """Return the counted visits of offers since a moment, by the UTC hour in which each came."""
        found: dict[int, dict[int, OfferVisits]] = {}
        for offer_id, hour, visits, unique in self._rows(_BY_HOUR, {"offer_ids": sorted(offer_ids), "since": since}):
            found.setdefault(offer_id, {})[hour] = OfferVisits(visits or 0, unique or 0)
        return found

    def sent_on(self, offer_id: int, since: int, until: int) -> dict[int, int]:
        """Return, by the offer that they went to, the counted visitors whom an offer's cap sent on in a period."""
        rows = self._rows(_SENT_ON, {"offer_id": offer_id, "since": since, "until": until})
        return dict(rows)

    def _rows(self, query: str, parameters: dict[str, object]) -> list[tuple[Any, ...]]:
        with self._reading() as reader:
            return reader.execute(query, parameters).fetchall()
