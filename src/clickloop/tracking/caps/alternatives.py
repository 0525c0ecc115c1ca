"""Where the visitors of offers go whose caps are reached. Pure."""

from collections.abc import Collection, Mapping

from clickloop.setup.offer_cap import OfferCap
from clickloop.setup.routing_state import CappedOffer


def capped_offers(
    reached: Collection[int], caps: Mapping[int, OfferCap], live: Collection[int]
) -> tuple[CappedOffer, ...]:
    """Return the offers whose caps are reached, each with the offer that takes its visitors.

    ``caps``: those of live offers. ``live``: the alternatives that are not archived. An offer without an alternative, or with one
    that takes nobody either, is out of the rotation.
    """
    return tuple(CappedOffer(offer_id, _instead_of(offer_id, reached, caps, live)) for offer_id in sorted(reached))


def _instead_of(offer_id: int, reached: Collection[int], caps: Mapping[int, OfferCap], live: Collection[int]) -> int:
    seen = {offer_id}
    while offer_id in reached:
        following = caps[offer_id].then_offer_id if offer_id in caps else None
        # Saving refuses loops; no visitor may go round in one that got here all the same.
        if following is None or following not in live or following in seen:
            return 0
        seen.add(following)
        offer_id = following
    return offer_id
