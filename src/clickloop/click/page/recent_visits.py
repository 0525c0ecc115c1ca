"""The latest visits of an edge process, for browsers that store no cookie."""

from clickloop.click.visitor_cookie import Visit

MAX_RECENT_VISITS = 10_000  # some megabytes


class RecentVisits:
    """Visits by click id, of which the oldest are dropped beyond a maximum. Not thread-safe."""

    def __init__(self, most: int = MAX_RECENT_VISITS) -> None:
        self._most = most
        self._visits: dict[str, Visit] = {}

    def __len__(self) -> int:
        return len(self._visits)

    def find(self, click_id: str) -> Visit | None:
        """Return the visit of a click; None if it is not among the latest."""
        return self._visits.get(click_id)

    def remember(self, visit: Visit) -> None:
        """Add a visit, or replace the one of the same click."""
        visits = self._visits
        visits.pop(visit.click_id, None)  # so that it moves to the end
        visits[visit.click_id] = visit
        if len(visits) > self._most:
            del visits[next(iter(visits))]
