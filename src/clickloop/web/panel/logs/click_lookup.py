"""The click that a user means: by our click id, or by the external id under which the traffic source knows it."""

from clickloop.click.click import Click
from clickloop.click.click_log import ClickFilter
from clickloop.click_id import ClickId
from clickloop.click_id import Fault as ClickIdFault
from clickloop.setup.fault import Fault, FaultCode, InvalidInputError
from clickloop.text import text_of
from clickloop.web.api.context import ApiContext

MAX_CHOICES = 20  # a person chooses among them


class SeveralClicksError(Exception):
    """An external id that several clicks came with. ``clicks``: the newest of them."""

    def __init__(self, clicks: list[Click]) -> None:
        super().__init__()
        self.clicks = clicks


def click_id_meant(context: ApiContext, text: str) -> str:
    """Return the click id for what was typed: itself, or that of the only click with this external id.

    Raise SeveralClicksError, or InvalidInputError where no click has it. What has the form of a click id is returned as it is, unless
    it is an external id: what is wrong with it is told where it is used.
    """
    read = context.click_ids.read(text)
    if isinstance(read, ClickId) or not text:
        return text
    external_id = text_of(text.encode("utf-8", "surrogateescape"))
    found = context.facts.clicks_page(ClickFilter(external_id=external_id), MAX_CHOICES)
    if len(found) > 1:
        raise SeveralClicksError(found)
    if found:
        return found[0].click_id
    if read is ClickIdFault.FORGED:
        return text
    sentence = "No click has this click id or external id. External ids must be exactly as the source sent them."
    raise InvalidInputError((Fault("click_id", FaultCode.NOT_FOUND, sentence),))
