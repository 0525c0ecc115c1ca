"""The conversion: what a click earned, with its history of changes."""

import enum

import msgspec

from clickloop.click.click import Click
from clickloop.conversion.status import Status
from clickloop.money import Money


class Parameters(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What else a notice said. Texts are in the form of ``text.text_of``."""

    conversion_id: str = ""
    params: dict[int, str] = {}
    """``param1``…``param20`` by number."""
    events: dict[int, str] = {}
    """``event1``…``event30`` by number, plain decimal texts."""
    others: dict[str, str] = {}
    """Parameters that we do not know, as they came."""


class Conversion(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One conversion as it stands after ``version`` changes. Its identity is (click_id, txid)."""

    conversion_id: str
    click: Click
    txid: str
    status: Status
    status_word: str
    """The status as the network sent it; empty when it sent none."""
    payout: Money
    payout_text: str = ""
    """The payout as the network sent it; empty when it sent none."""
    flags: tuple[str, ...] = ()
    """What was odd: values of ``conversion.notice.NoticeFlag``."""
    first_of_click: bool
    """Whether it was the first conversion of its click, in order of registration."""
    test: bool = False
    parameters: Parameters = Parameters()
    converted_at: int
    """When it happened: the notice's ``at``, else when the first notice arrived."""
    created_at: int
    updated_at: int
    version: int
    """1 when new; every change adds one."""
    latest_turn: str = ""
    """Turn of the latest notice of it: see ``conversion.notice.turn_of``."""
    status_turn: str = ""
    """Turn of the notice that the status is from: an earlier one does not replace it. Empty while none named a status."""
    payout_turn: str = ""
    """The same for the payout; empty while no notice named a readable one."""


class ChangeKind(enum.StrEnum):
    """What a change changed, the weightiest first."""

    NEW = "new"
    STATUS = "status"
    PAYOUT = "payout"
    DETAILS = "details"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a conversion, made by one notice. It is what postbacks are owed for."""

    before: Conversion | None
    after: Conversion
    at: int
    notice_id: str
    disable_postback: bool = False
    """The notice asked that no postback be sent for it."""

    @property
    def kind(self) -> ChangeKind:
        """What changed."""
        if self.before is None:
            return ChangeKind.NEW
        if self.before.status.key != self.after.status.key:
            return ChangeKind.STATUS
        if self.before.payout != self.after.payout:
            return ChangeKind.PAYOUT
        return ChangeKind.DETAILS
