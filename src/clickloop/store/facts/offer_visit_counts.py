"""The interface of the facts for the visitors that offers got: directly, or by a landing's button."""

from collections.abc import Collection
from typing import Protocol

from clickloop.report.offer_visits import OfferVisits


class OfferVisitCounts(Protocol):
    """The methods that count offer visits. Call them from any thread."""

    def in_period(self, offer_ids: Collection[int], since: int, until: int) -> dict[int, OfferVisits]:
        """Return the counted visits of offers from ``since`` to before ``until``; absent without any."""
        ...

    def by_hour(self, offer_ids: Collection[int], since: int) -> dict[int, dict[int, OfferVisits]]:
        """Return the counted visits of offers since a moment, by the start of the UTC hour in Unix milliseconds."""
        ...

    def sent_on(self, offer_id: int, since: int, until: int) -> dict[int, int]:
        """Return, by the offer that they went to, the counted visitors whom an offer's cap sent on in that time."""
        ...
