"""Attribute a notice to a conversion of its click. Pure; every outcome is a value."""

from collections.abc import Callable

import msgspec

from clickloop.click.click import Click, Screening
from clickloop.clock import DAY_MS, MINUTE_MS, SECOND_MS
from clickloop.conversion.arrival_order import are_of_same_upload, arrival_order_of
from clickloop.conversion.conversion import Conversion, Parameters
from clickloop.conversion.notice import Channel, Notice, NoticeFlag, RefusalReason
from clickloop.conversion.payout import default_payout, payout_of
from clickloop.conversion.status import OTHER, Status, word_key
from clickloop.conversion.terms import NoticeTerms, accepts_address, accepts_token
from clickloop.macro import unreplaced_macro
from clickloop.money import Money

WAIT_MS = 10 * MINUTE_MS
"""Time that a notice waits for a click that may still arrive, from the core's first check."""
FIRST_RECHECK_MS = 100  # clicks are usually settled within this
MAX_RECHECK_MS = 30 * SECOND_MS  # each check costs a look-up
MAX_OVERDUE_RECHECK_MS = 5 * MINUTE_MS
"""Longest pause between checks while it is unknown whether older clicks are settled, or they stay unsettled; arrival ends it."""
SETTLED_SLACK_MS = MINUTE_MS
"""Clicks must be settled up to this long after the first check: the clock may be set back a little in between."""
SET_BACK_MS = SECOND_MS
"""An arrival order this far in the future comes from a clock that was set back since, or from a machine with a fast clock."""
CLOCK_SLACK_MS = MINUTE_MS
"""How far a network's clock may be off before the time it reports is flagged."""

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
    """The notice contains nothing new. ``conversion`` differs from the known one at most in its arrival orders and flags."""

    conversion: Conversion
    flags: tuple[NoticeFlag, ...]


class Waiting(msgspec.Struct, frozen=True):
    """The click has not arrived yet; check again at ``look_again_at``, in Unix milliseconds."""

    look_again_at: int


class MissingClick(msgspec.Struct, frozen=True):
    """A click that could not be found."""

    first_look_at: int
    """The time of the core's first look-up, in Unix milliseconds."""
    settled_to: int | None
    """The moment up to which all click segments that may contain it are settled and readable; None if unknown."""


class Refused(msgspec.Struct, frozen=True):
    """The notice registers nothing, for this reason."""

    reason: RefusalReason


Attribution = New | Changed | Repeated | Waiting | Refused


class ConversionSlot(msgspec.Struct, frozen=True, kw_only=True):
    """The id and position that a new conversion would get."""

    conversion_id: str
    is_first: bool
    """Whether its click has no conversion yet."""


class _Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """The meaning of a notice by today's settings. ``payout`` is None if it names no readable one."""

    status: Status
    names_status: bool
    """False: no word came, or an unreplaced macro. Such a notice does not change the status of an existing conversion."""
    payout: Money | None
    names_currency: bool
    """Whether the payout's currency is the notice's own, not the default."""
    parameters: Parameters
    flags: tuple[NoticeFlag, ...]


def attribute(
    notice: Notice,
    click: Click | MissingClick,
    known: Conversion | None,
    terms: NoticeTerms,
    place: ConversionSlot,
    now_ms: int,
    is_clock_trusted: Callable[[], bool] = lambda: True,
) -> Attribution:
    """Return what a notice with a genuine click id does. ``known`` is the conversion of its (click id, txid), if there is one.

    **Order.** Notices count in order of arrival: by the time they reached us, then by notice id. The status is that of the
    latest notice that named one, else ``sale``; the payout that of the latest notice that named a readable one; its currency
    that of the latest such notice that named one, else the default when a payout was first named. So a notice that is settled
    late changes only what no later one has set, and any order of settling ends in the same status and payout: approved and
    rejected in the same millisecond are ordered by notice id; a ``lead`` that arrives after a ``rejected`` makes the conversion
    pending again; a repeat without a status (such as a reloaded pixel), or whose status is an unreplaced macro, leaves it
    unchanged. A late notice fills only params and events that are still empty.
    The same notice again (a rerun) replaces what it set before.

    **Repeats.** A change is a different status (or way of counting it), status word, payout, network's conversion id, param or
    event. Unknown parameters are stored with a change but are not a change themselves, and neither is ``at``: the time of a
    conversion is fixed when it is new.

    **Waiting.** A missing click may still arrive: the notice waits until click segments older than the core's first check are
    settled and ``WAIT_MS`` have passed since.

    **Refusals.** Token, address list, test mode and refusal of repeats apply to the public channels; by hand, API and upload are
    the owner's. The click's lifetime limits new conversions only: a chargeback of an old one is always accepted. While the clock
    is not trusted nothing is refused for its age: the notice waits until the clock is trusted.
    """
    if isinstance(click, MissingClick):
        return _wait_or_refuse(click, now_ms)
    refusal = _refusal(notice, click, known, terms, now_ms)
    if refusal is RefusalReason.EXPIRED_CLICK and not is_clock_trusted():
        return Waiting(now_ms + MAX_OVERDUE_RECHECK_MS)
    if refusal is not None:
        return Refused(refusal)
    meaning = _meaning_of(notice, terms)
    if known is None:
        no_offer = [NoticeFlag.NO_LANDING_CLICK] if click.came_over_page and not click.offer_id else []
        meaning = msgspec.structs.replace(meaning, flags=(*meaning.flags, *_time_flags(notice, click), *no_offer))
        return New(_new(notice, click, meaning, terms, place, now_ms), meaning.flags)
    return _change(notice, known, meaning, terms, now_ms)


def _wait_or_refuse(missing: MissingClick, now_ms: int) -> Waiting | Refused:
    """Wait with growing pauses, each as long as the time so far, until the wait is over and no click can arrive any more.

    A click that was recorded before the notice is in a segment older than the first check, so the notice is refused only
    once those segments are settled, however long the core was down.
    """
    first_look_at = min(missing.first_look_at, now_ms)  # the clock may have been fast then
    ends_at = first_look_at + WAIT_MS
    if now_ms >= ends_at:
        if missing.settled_to is not None and missing.settled_to >= first_look_at + SETTLED_SLACK_MS:
            return Refused(RefusalReason.UNKNOWN_CLICK)
        overdue_ms = now_ms - ends_at
        return Waiting(now_ms + min(MAX_RECHECK_MS + overdue_ms, MAX_OVERDUE_RECHECK_MS))
    longest = MAX_RECHECK_MS if missing.settled_to is not None else MAX_OVERDUE_RECHECK_MS
    step = min(max(now_ms - first_look_at, FIRST_RECHECK_MS), longest)
    return Waiting(min(now_ms + step, ends_at))


def without_future_orders(known: Conversion, notice: Notice, now_ms: int) -> Conversion:
    """Return the conversion with arrival orders in the future moved to just before this notice, which really came later.

    They come from a fast clock that has been set back; unchanged, no notice would count until the clock has caught up. Only for a
    new notice: one that is rerun may be older than those orders.
    """
    limit = arrival_order_of(now_ms + SET_BACK_MS, "")
    if known.latest_order < limit or notice.arrival_order >= limit:
        return known
    before = arrival_order_of(notice.at, "")
    names = ("latest_order", "status_order", "payout_order", "currency_order")
    orders = {name: getattr(known, name) for name in names}
    return msgspec.structs.replace(
        known, **{name: order if order < limit else before for name, order in orders.items()}
    )


def _refusal(
    notice: Notice, click: Click, known: Conversion | None, terms: NoticeTerms, now_ms: int
) -> RefusalReason | None:
    network = terms.network
    if notice.channel.is_public:
        if not accepts_token(network, notice.token):
            return RefusalReason.WRONG_TOKEN
        if not accepts_address(network, notice.ip):
            return RefusalReason.ADDRESS_NOT_ALLOWED
        if network.test_only and click.screening != Screening.TEST:
            return RefusalReason.TEST_ONLY
    # A notice from the future was stamped by a fast clock: count it as arriving now.
    if known is None and min(notice.at, now_ms) - click.at > network.click_lifetime_days * DAY_MS:
        return RefusalReason.EXPIRED_CLICK
    return None


def _meaning_of(notice: Notice, terms: NoticeTerms) -> _Meaning:
    flags = list(notice.flags)
    status = _status(notice, terms)
    names_status = bool(notice.status_word) and (status is not None or not unreplaced_macro(notice.status_word))
    if status is None:
        status = terms.statuses.other
        flags.append(NoticeFlag.UNKNOWN_STATUS)
    payout, names_currency = payout_of(notice, terms, flags)
    parameters = notice.parameters
    if NoticeFlag.UNKNOWN_CURRENCY in flags and notice.currency_text:
        others = {**parameters.others, "currency": notice.currency_text}
        parameters = msgspec.structs.replace(parameters, others=others)
    return _Meaning(
        status=status,
        names_status=names_status,
        payout=payout,
        names_currency=names_currency,
        parameters=parameters,
        flags=tuple(dict.fromkeys(flags)),
    )


def _status(notice: Notice, terms: NoticeTerms) -> Status | None:
    """Return the status that a notice names; None: an unknown word."""
    if notice.channel is Channel.HAND:
        # By hand, a status is named by its key, even if a network means something else by that word.
        key = word_key(notice.status_word)
        if key != OTHER.key and (status := terms.statuses.of_key(key)):
            return status
    return terms.statuses.of_word(notice.status_word, terms.network.status_words)


def _converted_at(notice: Notice, click: Click) -> int:
    """Return the time of a new conversion. A date without a time, as in reports, means the click's time if it is on that day."""
    at = notice.converted_at
    if at is None:
        return notice.at
    return click.at if at % DAY_MS == 0 and at <= click.at < at + DAY_MS else at


def _time_flags(notice: Notice, click: Click) -> list[NoticeFlag]:
    """Return the flags for an implausible time of a new conversion. The time is stored anyway."""
    if notice.converted_at is None:
        return []
    at = _converted_at(notice, click)
    flags = [NoticeFlag.AT_BEFORE_CLICK] if at < click.at - CLOCK_SLACK_MS else []
    return [*flags, NoticeFlag.AT_IN_FUTURE] if at > notice.at + CLOCK_SLACK_MS else flags


def _new(
    notice: Notice, click: Click, meaning: _Meaning, terms: NoticeTerms, place: ConversionSlot, now_ms: int
) -> Conversion:
    return Conversion(
        conversion_id=place.conversion_id,
        click=click,
        txid=notice.txid,
        status=meaning.status,
        status_word=notice.status_word,
        payout=meaning.payout or default_payout(terms),
        payout_text=notice.payout_text,
        flags=meaning.flags,
        first_of_click=place.is_first,
        test=click.screening == Screening.TEST,
        parameters=meaning.parameters,
        converted_at=_converted_at(notice, click),
        created_at=now_ms,
        updated_at=now_ms,
        version=1,
        latest_order=notice.arrival_order,
        status_order=notice.arrival_order if meaning.names_status else "",
        payout_order=notice.arrival_order if meaning.payout else "",
        currency_order=notice.arrival_order if meaning.names_currency else "",
    )


def _change(
    notice: Notice, known: Conversion, meaning: _Meaning, terms: NoticeTerms, now_ms: int
) -> Changed | Repeated | Refused:
    order = notice.arrival_order
    is_latest = order >= known.latest_order
    if notice.channel is Channel.UPLOAD and not notice.txid and are_of_same_upload(order, known.latest_order):
        meaning = msgspec.structs.replace(meaning, flags=(*meaning.flags, NoticeFlag.SAME_CLICK_AGAIN))
    flags = meaning.flags if is_latest else (*meaning.flags, NoticeFlag.OUT_OF_ORDER)
    status, word, status_order = known.status, known.status_word, known.status_order
    # A rerun of the notice that set the status replaces it even if its word, a macro, is no longer mapped.
    sets_status = (
        meaning.names_status or (bool(notice.status_word) and order == status_order)
    ) and order >= status_order
    if sets_status:
        status, word, status_order = meaning.status, notice.status_word, order
    elif not status_order and not notice.status_word:
        # While no notice has named a status, one without a word sets the default.
        status, word, sets_status = meaning.status, "", True
    payout, payout_text, payout_order = known.payout, known.payout_text, known.payout_order
    currency_order = known.currency_order
    if meaning.payout is not None:
        if order >= payout_order:
            currency = meaning.payout.currency if _takes_default_currency(known, order) else payout.currency
            payout, payout_text, payout_order = Money(meaning.payout.micros, currency), notice.payout_text, order
        if meaning.names_currency and order >= currency_order:
            payout, currency_order = Money(payout.micros, meaning.payout.currency), order
    elif order == known.latest_order and not payout_order:
        payout = default_payout(terms)
    parameters = _merged(known.parameters, meaning.parameters, is_latest)
    after = msgspec.structs.replace(
        known,
        status=status,
        status_word=word,
        payout=payout,
        payout_text=payout_text,
        parameters=parameters,
        flags=_flags_after(known, meaning, sets_status, payout_order == order),
        updated_at=now_ms,
        version=known.version + 1,
        latest_order=max(order, known.latest_order),
        status_order=status_order,
        payout_order=payout_order,
        currency_order=currency_order,
    )
    if _is_same_status(status, known.status) and payout == known.payout:
        if terms.network.refuse_duplicates and notice.channel.is_public and order != known.latest_order:
            return Refused(RefusalReason.DUPLICATE)
        if word == known.status_word and _significant(parameters) == _significant(known.parameters):
            return Repeated(
                msgspec.structs.replace(
                    known,
                    flags=after.flags,
                    latest_order=after.latest_order,
                    status_order=status_order,
                    payout_order=payout_order,
                    currency_order=currency_order,
                ),
                flags,
            )
    return Changed(known, after, flags)


def _takes_default_currency(known: Conversion, order: str) -> bool:
    """Return whether a payout without a currency gets the default one: if none was named, or in a rerun of the notice that named it."""
    return not known.currency_order and known.payout_order in ("", order)


def _is_same_status(one: Status, other: Status) -> bool:
    return one.key == other.key and one.counts_as == other.counts_as


def _merged(known: Parameters, meaning: Parameters, is_latest: bool) -> Parameters:
    """Merge parameters; those of the later notice take precedence."""
    under, over = (known, meaning) if is_latest else (meaning, known)
    return Parameters(
        conversion_id=over.conversion_id or under.conversion_id,
        params=under.params | over.params,
        events=under.events | over.events,
        others=under.others | over.others,
    )


def _significant(parameters: Parameters) -> tuple[str, dict[int, str], dict[int, str]]:
    """Return the parameters whose change counts as a change of the conversion."""
    return parameters.conversion_id, parameters.params, parameters.events


def _flags_after(known: Conversion, meaning: _Meaning, sets_status: bool, sets_payout: bool) -> tuple[str, ...]:
    """Return the flags that still apply: those of the status and the payout are replaced together with their value."""
    gone: frozenset[str] = (_STATUS_FLAGS if sets_status else frozenset()) | (
        _PAYOUT_FLAGS if sets_payout else frozenset()
    )
    remaining = [flag for flag in known.flags if flag not in gone]
    added = [flag for flag in meaning.flags if sets_status or flag not in _STATUS_FLAGS]
    return tuple(dict.fromkeys([*remaining, *added]))
