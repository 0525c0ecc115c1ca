"""The parts of a campaign's paths that landings and pages need."""

from clickloop.click.page.carried_values import CARRIED
from clickloop.click.routing.route import Route


def carried_macros(route: Route, path_id: int) -> tuple[str, ...]:
    """Return the macros of a path's offer URLs whose values a visit carries."""
    names = route.carried.get(path_id)
    if names is None:
        path = route.own_path(path_id)
        own = () if path is None else path.offers.items
        # With those that caps may send the visitor to: one may be reached while they are on the landing.
        offers = (offer for one in own for offer in (one, *route.alternatives(one)))
        used = (name for offer in offers for name in offer.target.source.names if name in CARRIED)
        names = route.carried[path_id] = tuple(dict.fromkeys(used))
    return names


def max_offers(route: Route) -> int:
    """Return the largest number of offers of a path, at least 1."""
    return max((len(path.offers.items) for path, _, _ in route.paths()), default=1) or 1
