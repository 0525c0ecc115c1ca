"""One case for each flag: an irregular notice is flagged, and registered anyway."""

from urllib.parse import quote

import pytest

from clickloop.click.click import Click
from clickloop.conversion.attribution import Changed, ConversionSlot, New, Repeated, attribute
from clickloop.conversion.notice import Channel, NoticeFlag, RawNotice, read_notice
from clickloop.conversion.status import SALE, StatusTable, StatusWords
from clickloop.conversion.terms import NO_NETWORK, NO_OFFER, NoticeTerms

NOW = 1_772_366_400_000
CLICK = Click(click_id="c", at=NOW, campaign_id=1, source_id=1)
TERMS = NoticeTerms(NO_NETWORK, NO_OFFER, StatusTable([StatusWords(SALE, ())]), "USD")


FIRST_LINE = "0" * 25 + "1"


def _query(query: str) -> RawNotice:
    return RawNotice(notice_id="n", at=NOW, channel=Channel.S2S, query=query)


def _payout(text: str) -> RawNotice:
    return _query(f"payout={quote(text)}")


def _json(body: str) -> RawNotice:
    return RawNotice(
        notice_id="n", at=NOW, channel=Channel.S2S, method="POST", body=body, content_type="application/json"
    )


ODD: dict[NoticeFlag, RawNotice] = {
    NoticeFlag.QUERY_CUT: _query("a=" + "x" * 20_000),
    NoticeFlag.BODY_CUT: _json('{"a": "' + "x" * 20_000 + '"}'),
    NoticeFlag.BODY_UNREADABLE: _json("{"),
    NoticeFlag.BODY_MENDED: _json('{"a":,"b":1}'),
    NoticeFlag.TOO_MANY_KEYS: _query("&".join(f"k{number}=1" for number in range(200))),
    NoticeFlag.NAME_MENDED: _query("a=1&amp;payout=5"),
    NoticeFlag.CLICK_ID_MENDED: _query("cid={01kjmm87x09z14xzr1jgrhd1sd}"),
    NoticeFlag.SHORTENED: RawNotice(notice_id="n", at=NOW, channel=Channel.S2S, shortened=True),
    NoticeFlag.CONDENSED: RawNotice(notice_id="n", at=NOW, channel=Channel.S2S, condensed=True),
    NoticeFlag.VALUE_CUT: _query("status=" + "x" * 300),
    NoticeFlag.AT_UNREADABLE: _query("at=2024-02-30"),
    NoticeFlag.AT_BEFORE_CLICK: _query(f"at={NOW // 1000 - 3600}"),
    NoticeFlag.AT_IN_FUTURE: _query(f"at={NOW // 1000 + 3600}"),
    NoticeFlag.EVENT_UNREADABLE: _query("event1=none"),
    NoticeFlag.TXID_UNREPLACED_MACRO: _query("txid={txid}"),
    NoticeFlag.UNKNOWN_STATUS: _query("status=strange"),
    NoticeFlag.UNKNOWN_CURRENCY: _query("payout=1&currency=XYZ"),
    NoticeFlag.CURRENCY_UNREPLACED_MACRO: _query("payout=1&currency={currency}"),
    NoticeFlag.CURRENCY_CONFLICT: _query("payout=1+USD&currency=EUR"),
    NoticeFlag.OUT_OF_ORDER: RawNotice(notice_id="n", at=NOW - 1, channel=Channel.S2S),
    NoticeFlag.SAME_CLICK_AGAIN: RawNotice(notice_id=FIRST_LINE[:-1] + "2", at=NOW, channel=Channel.UPLOAD),
    NoticeFlag.PAYOUT_AMBIGUOUS: _payout("1,234"),
    NoticeFlag.PAYOUT_ROUNDED: _payout("1.1234567"),
    NoticeFlag.PAYOUT_TOO_LONG: _payout("9" * 65),
    NoticeFlag.PAYOUT_UNREPLACED_MACRO: _payout("#price#"),
    NoticeFlag.PAYOUT_NOT_A_NUMBER: _payout("Infinity"),
    NoticeFlag.PAYOUT_EXPONENT: _payout("1e309"),
    NoticeFlag.PAYOUT_TOO_MANY_DIGITS: _payout("1234567890123"),
    NoticeFlag.PAYOUT_UNREADABLE: _payout("lots"),
}


def test_every_flag_has_its_case() -> None:
    # A notice held by damage is not registered yet: see tests/tracking/test_around_damage.py.
    # Whether there was a landing click is a matter of the click: see tests/conversion/test_landing_click.py.
    assert set(ODD) == set(NoticeFlag) - {NoticeFlag.HELD_BY_DAMAGE, NoticeFlag.NO_LANDING_CLICK}


@pytest.mark.parametrize("flag", ODD)
def test_an_odd_notice_is_flagged_and_registered(flag: NoticeFlag) -> None:
    notice = read_notice(ODD[flag])
    known = None
    if flag in (NoticeFlag.OUT_OF_ORDER, NoticeFlag.SAME_CLICK_AGAIN):
        raw = RawNotice(notice_id=FIRST_LINE, at=NOW, channel=Channel.UPLOAD)
        first = attribute(read_notice(raw), CLICK, None, TERMS, ConversionSlot(conversion_id="v", is_first=True), NOW)
        assert isinstance(first, New)
        known = first.conversion
    outcome = attribute(notice, CLICK, known, TERMS, ConversionSlot(conversion_id="v", is_first=True), NOW)
    assert isinstance(outcome, New | Changed | Repeated)
    assert flag in outcome.flags
