"""The offers behind the buttons of a landing while caps are reached. Pure.

Each button keeps its offer: a reached cap moves no other button, and one that was pressed before leads to the same offer again.
"""

from clickloop.click.routing.destination import Destination
from clickloop.click.routing.route import Route


def offers_of_buttons(route: Route, path_id: int) -> tuple[Destination | None, ...]:
    """Return the offer of each button of a path, in order; None for one whose cap took it out of the rotation."""
    own, path = route.own_path(path_id), route.path(path_id)
    if own is None:
        return ()
    served = {} if path is None else {offer.id: offer for offer in path.offers.items}
    return tuple(served.get(offer.id) for offer in own.offers.items)


def offer_pressed_before(route: Route, path_id: int, offer_id: int) -> Destination | None:
    """Return an offer that a button of a path led to before, whatever the caps are now; None if it is no longer in use."""
    own = route.own_path(path_id)
    offers = () if own is None else own.offers.items
    alternatives = (other for offer in offers for other in route.alternatives(offer))
    return next((one for one in (*offers, *alternatives) if one.target.offer_id == offer_id), None)
