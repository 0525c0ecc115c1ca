"""Attribution: what a notice does to the conversions of its click. Pure; every outcome is a value."""

from collections.abc import Callable

import msgspec

from clickloop.click.click import Click, Screening
from clickloop.clock import DAY_MS, MINUTE_MS, SECOND_MS
from clickloop.conversion.conversion import Conversion, Parameters
from clickloop.conversion.notice import Door, Notice, NoticeFlag, RefusalReason, are_of_one_upload, turn_of
from clickloop.conversion.status import OTHER, Status, word_key
from clickloop.conversion.terms import Terms, accepts_address, accepts_token
from clickloop.currency import may_mean
from clickloop.macro import unreplaced_macro
from clickloop.money import AmountFault, Money, currency_of, read_amount

WAIT_MS = 10 * MINUTE_MS
"""Time that a notice waits for a click which is still on its way, from the core's first look at it."""
FIRST_LOOK_MS = 100  # a click is settled within this, as a rule
MAX_LOOK_MS = 30 * SECOND_MS  # waiting costs a look-up each time
MAX_OVERDUE_LOOK_MS = 5 * MINUTE_MS
"""Longest pause between looks while nothing is known of older clicks, or they are unsettled for long: their arrival ends it."""
SETTLED_SLACK_MS = MINUTE_MS
"""Clicks must be settled up to this long after the first look: the clock may be set back a little between the two."""
SET_BACK_MS = SECOND_MS
"""A turn that lies this far ahead of now is of a clock that has been set back since, or of a machine whose clock is ahead."""
CLOCK_SLACK_MS = MINUTE_MS
"""How far a network's clock may be off before the time that it tells is flagged."""

_STATUS_FLAGS = frozenset({NoticeFlag.UNKNOWN_STATUS})
_PAYOUT_FLAGS = frozenset(
    {NoticeFlag.UNKNOWN_CURRENCY, NoticeFlag.CURRENCY_UNREPLACED_MACRO, NoticeFlag.CURRENCY_CONFLICT}
    | {flag for flag in NoticeFlag if flag.startswith("payout_")}
)


class New(msgspec.Struct, frozen=True):
    """The notice registers a conversion."""

    conversion: Conversion
    flags: tuple[NoticeFlag, ...]


class Changed(msgspec.Struct, frozen=True):
    """The notice changes a conversion."""

    before: Conversion
    after: Conversion
    flags: tuple[NoticeFlag, ...]


class Repeated(msgspec.Struct, frozen=True):
    """The notice says nothing new. ``conversion`` differs from the known one at most in its turns and flags."""

    conversion: Conversion
    flags: tuple[NoticeFlag, ...]


class Waiting(msgspec.Struct, frozen=True):
    """The click is not here yet; look again at this moment, in Unix milliseconds."""

    look_again_at: int


class MissingClick(msgspec.Struct, frozen=True):
    """A click that was looked for and is not there."""

    first_look_at: int
    """The moment of the core's first look for it, in Unix milliseconds."""
    settled_to: int | None
    """The moment up to which all click segments that may hold it are settled and readable; None: unknown."""


class Refused(msgspec.Struct, frozen=True):
    """The notice registers nothing, and why."""

    reason: RefusalReason


Attribution = New | Changed | Repeated | Waiting | Refused


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a conversion would stand if the notice registered one."""

    conversion_id: str
    is_first: bool
    """Whether its click has no conversion yet."""


class _Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a notice means by today's settings. ``payout`` is None where it names no readable one."""

    status: Status
    names_status: bool
    """False: no word came, or a macro that nobody replaced; of a conversion that stands, such a notice changes no status."""
    payout: Money | None
    parameters: Parameters
    flags: tuple[NoticeFlag, ...]


def attribute(
    notice: Notice,
    click: Click | MissingClick,
    known: Conversion | None,
    terms: Terms,
    place: Place,
    now_ms: int,
    is_clock_trusted: Callable[[], bool] = lambda: True,
) -> Attribution:
    """What a notice with a genuine click id does. ``known`` is the conversion of its (click id, txid), if there is one.

    **Order.** Notices count in the order of their turns: by the moment of arrival at our door, then by notice id. The status is
    that of the latest turn that named one, else ``sale``; the payout that of the latest turn that named a readable one. So
    a notice that is settled late changes only what no later one has said, and any order of settling ends in the same status
    and payout: approved and rejected in the same millisecond end by notice id; a ``lead`` that arrives after a ``rejected``
    makes the conversion pending again; a repeat that names no status, such as a reloaded pixel, leaves it as it is, and so does one
    whose status is a macro that nobody replaced. Of params
    and events a late notice fills only those that stand empty.
    The same turn again (a stored notice that is run again) replaces what it said.

    **Repeats.** A change is another status (or way of counting it), status word, payout, network's conversion id, param or
    event. Parameters that we do not know are kept with a change but make none, and neither does ``at``: the time of a
    conversion is fixed when it is new.

    **Waiting.** A click that is not there may be on its way: the notice waits until click segments older than the core's first
    look are settled and ``WAIT_MS`` have passed since.

    **Refusals.** Token, address list, test mode and refusal of repeats hold for the public doors; by hand, API and upload are
    the owner's. The click's lifetime bounds new conversions only: a chargeback of an old one is always taken. While the clock
    is not trusted nothing is refused for its age: the notice waits until it is, or is right again.
    """
    if isinstance(click, MissingClick):
        return _wait_or_refuse(click, now_ms)
    refusal = _refusal(notice, click, known, terms, now_ms)
    if refusal is RefusalReason.EXPIRED_CLICK and not is_clock_trusted():
        return Waiting(now_ms + MAX_OVERDUE_LOOK_MS)
    if refusal is not None:
        return Refused(refusal)
    said = _said(notice, terms)
    if known is None:
        said = msgspec.structs.replace(said, flags=(*said.flags, *_time_flags(notice, click)))
        return New(_new(notice, click, said, terms, place, now_ms), said.flags)
    return _again(notice, known, said, terms, now_ms)


def _wait_or_refuse(missing: MissingClick, now_ms: int) -> Waiting | Refused:
    """Look again ever less often, in steps of the time that has passed, until the wait is over and no click can come any more.

    However long the core stood still: a click that was recorded before the notice came is in a segment that is older than
    the first look, so the notice is refused only once those are settled.
    """
    first_look_at = min(missing.first_look_at, now_ms)  # the clock may have been ahead then
    ends_at = first_look_at + WAIT_MS
    if now_ms >= ends_at:
        if missing.settled_to is not None and missing.settled_to >= first_look_at + SETTLED_SLACK_MS:
            return Refused(RefusalReason.UNKNOWN_CLICK)
        overdue_ms = now_ms - ends_at
        return Waiting(now_ms + min(MAX_LOOK_MS + overdue_ms, MAX_OVERDUE_LOOK_MS))
    longest = MAX_LOOK_MS if missing.settled_to is not None else MAX_OVERDUE_LOOK_MS
    step = min(max(now_ms - first_look_at, FIRST_LOOK_MS), longest)
    return Waiting(min(now_ms + step, ends_at))


def without_turns_ahead(known: Conversion, notice: Notice, now_ms: int) -> Conversion:
    """Return the conversion with turns that lie in the future as ones just before this notice, which came after them.

    They were made by a clock that was ahead and has been set back: else nothing that comes before the clock is there again
    would count. For a notice that comes for the first time; one that is run again may be older than what it would be put behind.
    """
    limit = turn_of(now_ms + SET_BACK_MS, "")
    if known.latest_turn < limit or notice.turn >= limit:
        return known
    before = turn_of(notice.at, "")
    latest, status, payout = (
        turn if turn < limit else before for turn in (known.latest_turn, known.status_turn, known.payout_turn)
    )
    return msgspec.structs.replace(known, latest_turn=latest, status_turn=status, payout_turn=payout)


def _refusal(notice: Notice, click: Click, known: Conversion | None, terms: Terms, now_ms: int) -> RefusalReason | None:
    network = terms.network
    if notice.door.is_public:
        if not accepts_token(network, notice.token):
            return RefusalReason.WRONG_TOKEN
        if not accepts_address(network, notice.ip):
            return RefusalReason.ADDRESS_NOT_ALLOWED
        if network.test_only and click.screening != Screening.TEST:
            return RefusalReason.TEST_ONLY
    # No notice comes later than now: one that says so was noted by a clock that was ahead.
    if known is None and min(notice.at, now_ms) - click.at > network.click_lifetime_days * DAY_MS:
        return RefusalReason.EXPIRED_CLICK
    return None


def _said(notice: Notice, terms: Terms) -> _Said:
    flags = list(notice.flags)
    status = _status(notice, terms)
    names_status = bool(notice.status_word) and (status is not None or not unreplaced_macro(notice.status_word))
    if status is None:
        status = terms.statuses.other
        flags.append(NoticeFlag.UNKNOWN_STATUS)
    payout = _payout(notice, terms, flags)
    parameters = notice.parameters
    if NoticeFlag.UNKNOWN_CURRENCY in flags and notice.currency_text:
        others = {**parameters.others, "currency": notice.currency_text}
        parameters = msgspec.structs.replace(parameters, others=others)
    return _Said(
        status=status,
        names_status=names_status,
        payout=payout,
        parameters=parameters,
        flags=tuple(dict.fromkeys(flags)),
    )


def _status(notice: Notice, terms: Terms) -> Status | None:
    """Return the status that a notice names; None: an unknown word."""
    if notice.door is Door.HAND:
        # The owner names a status by its key, whatever a network may mean by the same word.
        key = word_key(notice.status_word)
        if key != OTHER.key and (status := terms.statuses.of_key(key)):
            return status
    return terms.statuses.of_word(notice.status_word, terms.network.status_words)


def _payout(notice: Notice, terms: Terms, flags: list[NoticeFlag]) -> Money | None:
    """The amount that the notice names, in its currency; of an unknown one the currency stays empty, for no guess is made."""
    if not notice.payout_text:
        return None
    amount = read_amount(notice.payout_text)
    if isinstance(amount, AmountFault):
        flags.append(NoticeFlag(f"payout_{amount}"))
        return None
    if amount.ambiguous:
        flags.append(NoticeFlag.PAYOUT_AMBIGUOUS)
    if amount.rounded:
        flags.append(NoticeFlag.PAYOUT_ROUNDED)
    named = named_currency(notice)
    if notice.currency_text and not named:
        flags.append(NoticeFlag.CURRENCY_UNREPLACED_MACRO)
    if named and amount.currency and not _agree(named, amount.currency):
        flags.append(NoticeFlag.CURRENCY_CONFLICT)
    named = named or amount.currency
    if not named:
        return Money(amount.micros, terms.default_currency)
    currency = currency_of(named)
    if currency is None and may_mean(named, terms.default_currency):
        # "10 kr" of an offer in SEK: the sign allows the currency that an amount without a sign would be in.
        flags.append(NoticeFlag.PAYOUT_AMBIGUOUS)
        return Money(amount.micros, terms.default_currency)
    if currency is None:
        flags.append(NoticeFlag.UNKNOWN_CURRENCY)
    return Money(amount.micros, currency or "")


def _agree(named: str, written: str) -> bool:
    """Return whether the currency of the parameter can be the one that is written in the payout."""
    code = currency_of(named) or ""
    return code == written or may_mean(written, code)


def named_currency(notice: Notice) -> str:
    """The currency that a notice names beside its payout, as it came; empty: none, or a macro that nobody replaced."""
    return "" if unreplaced_macro(notice.currency_text) else notice.currency_text


def _converted_at(notice: Notice, click: Click) -> int:
    """Return the time of a new conversion. Of a day without a time, as reports list them, that of its click on that day."""
    at = notice.converted_at
    if at is None:
        return notice.at
    return click.at if at % DAY_MS == 0 and at <= click.at < at + DAY_MS else at


def _time_flags(notice: Notice, click: Click) -> list[NoticeFlag]:
    """What is odd about the time of a new conversion. It is kept all the same."""
    if notice.converted_at is None:
        return []
    at = _converted_at(notice, click)
    flags = [NoticeFlag.AT_BEFORE_CLICK] if at < click.at - CLOCK_SLACK_MS else []
    return [*flags, NoticeFlag.AT_IN_FUTURE] if at > notice.at + CLOCK_SLACK_MS else flags


def _default_payout(terms: Terms) -> Money:
    """What a conversion pays that no notice named a readable payout for: the offer's fixed payout, or zero."""
    return Money(terms.offer.payout_micros or 0, terms.default_currency)


def _new(notice: Notice, click: Click, said: _Said, terms: Terms, place: Place, now_ms: int) -> Conversion:
    return Conversion(
        conversion_id=place.conversion_id,
        click=click,
        txid=notice.txid,
        status=said.status,
        status_word=notice.status_word,
        payout=said.payout or _default_payout(terms),
        payout_text=notice.payout_text,
        flags=said.flags,
        first_of_click=place.is_first,
        test=click.screening == Screening.TEST,
        parameters=said.parameters,
        converted_at=_converted_at(notice, click),
        created_at=now_ms,
        updated_at=now_ms,
        version=1,
        latest_turn=notice.turn,
        status_turn=notice.turn if said.names_status else "",
        payout_turn=notice.turn if said.payout else "",
    )


def _again(notice: Notice, known: Conversion, said: _Said, terms: Terms, now_ms: int) -> Changed | Repeated | Refused:
    turn = notice.turn
    is_latest = turn >= known.latest_turn
    if notice.door is Door.UPLOAD and not notice.txid and are_of_one_upload(turn, known.latest_turn):
        said = msgspec.structs.replace(said, flags=(*said.flags, NoticeFlag.SAME_CLICK_AGAIN))
    flags = said.flags if is_latest else (*said.flags, NoticeFlag.OUT_OF_ORDER)
    status, word, status_turn = known.status, known.status_word, known.status_turn
    is_status_said = (said.names_status or (bool(notice.status_word) and turn == status_turn)) and turn >= status_turn
    if is_status_said:
        status, word, status_turn = said.status, notice.status_word, turn
    elif not status_turn and not notice.status_word:
        status, word, is_status_said = said.status, "", True
    payout, payout_text, payout_turn = known.payout, known.payout_text, known.payout_turn
    if said.payout is not None and turn >= known.payout_turn:
        payout, payout_text, payout_turn = said.payout, notice.payout_text, turn
    elif said.payout is None and turn == known.latest_turn and not known.payout_turn:
        payout = _default_payout(terms)
    parameters = _merged(known.parameters, said.parameters, is_latest)
    after = msgspec.structs.replace(
        known,
        status=status,
        status_word=word,
        payout=payout,
        payout_text=payout_text,
        parameters=parameters,
        flags=_flags_after(known, said, is_status_said, payout_turn == turn),
        updated_at=now_ms,
        version=known.version + 1,
        latest_turn=max(turn, known.latest_turn),
        status_turn=status_turn,
        payout_turn=payout_turn,
    )
    if _counts_alike(status, known.status) and payout == known.payout:
        if terms.network.refuse_duplicates and notice.door.is_public and turn != known.latest_turn:
            return Refused(RefusalReason.DUPLICATE)
        if word == known.status_word and _telling(parameters) == _telling(known.parameters):
            return Repeated(
                msgspec.structs.replace(
                    known,
                    flags=after.flags,
                    latest_turn=after.latest_turn,
                    status_turn=status_turn,
                    payout_turn=payout_turn,
                ),
                flags,
            )
    return Changed(known, after, flags)


def _counts_alike(one: Status, other: Status) -> bool:
    return one.key == other.key and one.counts_as == other.counts_as


def _merged(known: Parameters, said: Parameters, is_latest: bool) -> Parameters:
    """Both, the later one's values over the earlier one's."""
    under, over = (known, said) if is_latest else (said, known)
    return Parameters(
        conversion_id=over.conversion_id or under.conversion_id,
        params=under.params | over.params,
        events=under.events | over.events,
        others=under.others | over.others,
    )


def _telling(parameters: Parameters) -> tuple[str, dict[int, str], dict[int, str]]:
    """The part of the parameters whose change is a change of the conversion."""
    return parameters.conversion_id, parameters.params, parameters.events


def _flags_after(known: Conversion, said: _Said, is_status_said: bool, is_payout_said: bool) -> tuple[str, ...]:
    """The flags that still hold: those of the status and the payout go with what they were said of."""
    gone: frozenset[str] = (_STATUS_FLAGS if is_status_said else frozenset()) | (
        _PAYOUT_FLAGS if is_payout_said else frozenset()
    )
    kept = [flag for flag in known.flags if flag not in gone]
    added = [flag for flag in said.flags if is_status_said or flag not in _STATUS_FLAGS]
    return tuple(dict.fromkeys([*kept, *added]))
