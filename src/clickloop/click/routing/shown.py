"""The path, landing and offer that a visitor is shown, for the memory of returning visitors. Pure."""

from clickloop.click.routing.destination import Destination
from clickloop.click.routing.flow import Choice, ReadyFlow, ReadyPath
from clickloop.click.routing.recall import LANDING_CHOICE, OFFER_CHOICE, PATH_CHOICE, Shown


def destination_id(destination: Destination) -> int:
    """Return the id of a landing or offer."""
    return destination.id


def shown_of(flow: ReadyFlow[Destination], choice: Choice[Destination], found: Destination) -> tuple[Shown, ...]:
    """Return the path, and the landing or offer, that a flow chose for a visitor."""
    path = choice.path
    if path is None:
        return ()
    paths = next((rule.paths for rule in flow.rules if rule.id == choice.rule_id), flow.default_paths)
    shown = Shown(PATH_CHOICE, path.id, tuple(one.id for one in paths.items))
    if not found.id:
        return (shown,)
    if path.landings.items:
        return shown, Shown(LANDING_CHOICE, found.id, tuple(one.id for one in path.landings.items))
    return shown, shown_offer(path, found.id)


def shown_offer(path: ReadyPath[Destination], offer_id: int) -> Shown:
    """Return an offer of a path, as shown to a visitor."""
    return Shown(OFFER_CHOICE, offer_id, tuple(one.id for one in path.offers.items))
