"""Lookup of a click by our click ID or by the traffic source's external ID."""

from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.click_id import ClickId
from clickloop.click_id import ClickIdFault as ClickIdFault
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.text import escape_bytes
from clickloop.web.api.context import ApiContext

MAX_CHOICES = 20  # the user picks one from this list


class SeveralClicksError(Exception):
    """Several clicks have this external ID. ``clicks``: the newest of them."""

    def __init__(self, clicks: list[Click]) -> None:
        super().__init__()
        self.clicks = clicks


def resolve_click_id(context: ApiContext, text: str) -> str:
    """Return the click ID for a click ID or external ID.

    Raise SeveralClicksError, or InvalidInputError if no click has the external ID. A forged click ID that is no external ID is
    returned as it is: the caller reports what is wrong with it.
    """
    read = context.click_ids.read(text)
    if isinstance(read, ClickId) or not text:
        return text
    external_id = escape_bytes(text.encode("utf-8", "surrogateescape"))
    found = context.facts.clicks_page(ClickFilter(external_id=external_id), MAX_CHOICES)
    if len(found) > 1:
        raise SeveralClicksError(found)
    if found:
        return found[0].click_id
    if read is ClickIdFault.FORGED:
        return text
    sentence = "No click has this click ID or external ID. External IDs must be exactly as the source sent them."
    raise InvalidInputError((FieldFault("click_id", FaultCode.NOT_FOUND, sentence),))
