"""The counted visits of an offer."""

import msgspec


class OfferVisits(msgspec.Struct, frozen=True):
    """Visitors sent to an offer, and those of them who were unique."""

    visits: int = 0
    unique: int = 0

    def __add__(self, other: "OfferVisits") -> "OfferVisits":
        return OfferVisits(self.visits + other.visits, self.unique + other.unique)
