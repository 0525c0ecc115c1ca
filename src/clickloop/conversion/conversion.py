"""The conversion of a click, and its changes."""

import enum

import msgspec

from clickloop.click.click import Click
from clickloop.conversion.status import Status
from clickloop.money import Money


class Parameters(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Further parameters of a notice. Texts are in the form of ``text.escape_bytes``."""

    conversion_id: str = ""
    params: dict[int, str] = {}
    """``param1``…``param20`` by number."""
    events: dict[int, str] = {}
    """``event1``…``event30`` by number, plain decimal texts."""
    others: dict[str, str] = {}
    """Unknown parameters as they came."""


class Conversion(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A conversion after ``version`` changes. Its identity is (click_id, txid)."""

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
    """Irregularities: values of ``conversion.notice.NoticeFlag``."""
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
    # Stored under their former names, which the changes of earlier versions have.
    latest_order: str = msgspec.field(default="", name="latest_turn")
    """Arrival order of the latest notice: see ``conversion.notice.arrival_order_of``."""
    status_order: str = msgspec.field(default="", name="status_turn")
    """Arrival order of the notice that set the status: an earlier one does not replace it. Empty if no notice named a status."""
    payout_order: str = msgspec.field(default="", name="payout_turn")
    """Arrival order of the notice that set the payout. Empty if no notice named a readable one."""
    currency_order: str = ""
    """Arrival order of the notice that named the payout's currency. Empty if none did."""


class ChangeKind(enum.StrEnum):
    """The kind of a change, the most important first."""

    NEW = "new"
    STATUS = "status"
    PAYOUT = "payout"
    DETAILS = "details"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a conversion, made by one notice. Postbacks are created for changes."""

    before: Conversion | None
    after: Conversion
    at: int
    notice_id: str
    disable_postback: bool = False
    """Whether the notice requested that no postback be sent."""

    @property
    def kind(self) -> ChangeKind:
        """The most important part that changed."""
        if self.before is None:
            return ChangeKind.NEW
        if self.before.status.key != self.after.status.key:
            return ChangeKind.STATUS
        if self.before.payout != self.after.payout:
            return ChangeKind.PAYOUT
        return ChangeKind.DETAILS
