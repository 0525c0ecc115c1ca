"""Parsing notices: names, bodies, limits and times; no bytes make it raise."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click_id import ClickId, ClickIds
from clickloop.conversion.conversion_input import ConversionInput, raw_notice_of
from clickloop.conversion.notice import (
    NAMES,
    Channel,
    Notice,
    NoticeFlag,
    RawNotice,
    RefusalReason,
    quick_verdict,
    read_notice,
)
from clickloop.text import escape_bytes

NOW = 1_772_366_400_000  # 2026-03-01T12:00:00Z
FORM = "application/x-www-form-urlencoded"
CLICK_IDS = ClickIds(b"k" * 32)


def _raw(query: bytes = b"", body: bytes = b"", content_type: str = "", cookie: str = "") -> RawNotice:
    return RawNotice(
        notice_id="n",
        at=NOW,
        channel=Channel.S2S,
        query=escape_bytes(query),
        body=escape_bytes(body),
        content_type=content_type,
        cookie_click_id=cookie,
    )


def _read(query: bytes = b"", body: bytes = b"", content_type: str = "", cookie: str = "") -> Notice:
    return read_notice(_raw(query, body, content_type, cookie))


def _field(notice: Notice, field: str) -> str:
    attribute = {"click_id": "click_id_text", "payout": "payout_text", "status": "status_word"}.get(field, field)
    return str(getattr(notice, {"currency": "currency_text"}.get(attribute, attribute)))


@pytest.mark.parametrize(("field", "name"), [(field, name) for field, names in NAMES.items() for name in names])
def test_every_name_of_a_value_works_in_any_case(field: str, name: str) -> None:
    assert _field(_read(f"{name.upper()}=7".encode()), field) == "7"


def test_the_last_value_of_a_repeated_parameter_counts() -> None:
    assert _read(b"cid=a&payout=1&CID=b&payout=2").payout_text == "2"


def test_the_body_counts_after_the_query() -> None:
    assert _read(b"cid=a&payout=1", b"payout=2", FORM).payout_text == "2"


def test_the_first_name_counts_and_values_of_other_names_are_stored() -> None:
    notice = _read(b"type=cpa&status=approved&subid=x&cid=y")
    assert (notice.status_word, notice.click_id_text) == ("approved", "y")
    assert notice.parameters.others == {"type": "cpa", "subid": "x"}


def test_unknown_parameters_are_stored_and_userid_and_token_are_not() -> None:
    notice = _read(b"cid=a&userid=12345&token=secret&foo=b%20ar")
    assert (notice.parameters.others, notice.token) == ({"foo": "b ar"}, "secret")


def test_params_and_events_are_stored_by_number() -> None:
    parameters = _read(b"param1=a&param20=b&param21=c&event1=1,5&event30=-2&event31=1").parameters
    assert parameters.params == {1: "a", 20: "b"}
    assert parameters.events == {1: "1.5", 30: "-2"}
    assert parameters.others == {"param21": "c", "event31": "1"}


def test_an_event_that_is_not_a_number_is_flagged_and_stored_as_it_came() -> None:
    notice = _read(b"event2=many")
    assert (notice.parameters.others, notice.flags) == ({"event2": "many"}, (NoticeFlag.EVENT_UNREADABLE,))


def test_json_numbers_keep_their_digits() -> None:
    body = b'{"cid": "a", "payout": 12.10, "txid": 12345678901234567890123, "status": null, "deep": {"a": [1]}}'
    notice = _read(b"", body, "application/json; charset=utf-8")
    assert (notice.payout_text, notice.txid, notice.status_word) == ("12.10", "12345678901234567890123", "")
    assert notice.parameters.others["deep"] == '{"a": [1]}'


def test_json_of_5000_digits_is_read_without_an_exception() -> None:
    assert len(_read(b"", b'{"payout": ' + b"9" * 5000 + b"}", "application/json").payout_text) == 200


def test_json_that_is_sent_as_a_form_is_recognised() -> None:
    assert _read(b"", b' {"cid": "a"}', FORM).click_id_text == "a"


def test_of_a_duplicate_json_key_the_last_value_counts() -> None:
    assert _read(b"", b'{"payout": 1, "payout": 2}', "application/json").payout_text == "2"


def test_a_multipart_form_is_read() -> None:
    part = b'--xx\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    body = part % (b"cid", b"a") + part % (b"payout", b"5") + b"--xx--\r\n"
    notice = _read(b"", body, "multipart/form-data; boundary=xx")
    assert (notice.click_id_text, notice.payout_text) == ("a", "5")


@pytest.mark.parametrize(
    "body",
    [b"[" * 16_000, b'{"a":' * 3_000, b"{", b"[]", b"7", b'{"a": \xff', b'{"a" 1}', b'{"a": 1} x', b'{"a" \x00}'],
)
def test_json_that_cannot_be_read_is_flagged_and_the_query_still_counts(body: bytes) -> None:
    notice = _read(b"cid=a", body, "application/json")
    assert (notice.click_id_text, notice.flags) == ("a", (NoticeFlag.BODY_UNREADABLE,))


def test_beyond_16_kilobytes_the_query_is_cut_at_a_whole_pair() -> None:
    notice = _read(b"cid=a&long=" + b"x" * 16_000 + b"&payout=5&longer=" + b"y" * 500)
    assert (notice.payout_text, notice.flags) == ("5", (NoticeFlag.QUERY_CUT,))
    assert "longer" not in notice.parameters.others


def test_beyond_16_kilobytes_a_body_is_cut() -> None:
    flags = (NoticeFlag.BODY_CUT,)
    assert _read(b"", b"cid=a&" + b"x" * 17_000, FORM).flags == flags
    assert _read(b"", b'{"a": "' + b"x" * 17_000 + b'"}', FORM).flags == flags
    assert _read(b"", b'{"a": "' + b"x" * 17_000, FORM).flags == (*flags, NoticeFlag.BODY_UNREADABLE)


def test_beyond_100_names_further_ones_are_left_out() -> None:
    notice = _read(b"&".join(b"k%d=%d" % (number, number) for number in range(101)))
    assert (len(notice.parameters.others), notice.flags) == (100, (NoticeFlag.TOO_MANY_KEYS,))


def test_two_long_txids_that_differ_at_the_end_stay_two() -> None:
    first, second = (_read(b"txid=" + b"x" * 600 + end).txid for end in (b"1", b"2"))
    assert first != second
    assert len(first) == len(second) == 500


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1772366000", 1_772_366_000_000),
        ("1772366000.5", 1_772_366_000_500),
        ("2026-03-01T11:00:00Z", 1_772_362_800_000),
        ("2026-03-01T13:00:00%2B02:00", 1_772_362_800_000),
        ("2026-03-01T13:00:00+02:00", 1_772_362_800_000),
        ("2026-03-01 11:00:00", 1_772_362_800_000),
        ("2026-03-01", 1_772_323_200_000),
        ("2026-03-01T11", 1_772_362_800_000),
        ("2026-03-01T13:00:00.250+0200", 1_772_362_800_250),
        ("2026-03-01 14:00:00 +0300", 1_772_362_800_000),
        ("2026-03-01 11:00:00 UTC", 1_772_362_800_000),
        ("2026/03/01 11:00", 1_772_362_800_000),
        ("2026.3.1", 1_772_323_200_000),
        ("01.03.2026 11:00", 1_772_362_800_000),
        ("1.3.2026", 1_772_323_200_000),
        ("28/02/2026", 1_772_236_800_000),
        ("28-02-2026 02:00:00", 1_772_244_000_000),
        ("02/28/2026 2:00 AM", 1_772_244_000_000),
        ("02/28/2026, 2:00:00 p.m.", 1_772_287_200_000),
        ("2/28/2026 12:00 AM", 1_772_236_800_000),
        ("02/02/2026", 1_769_990_400_000),
        ("28 Feb 2026", 1_772_236_800_000),
        ("28-Feb-2026 02:00", 1_772_244_000_000),
        ("February 28, 2026 2:00 AM", 1_772_244_000_000),
        ("Sat, 28 Feb 2026 02:00:00 GMT", 1_772_244_000_000),
        ("Sep 1st, 2025", 1_756_684_800_000),
        ("20260228", 1_772_236_800_000),
        ("20260228020000", 1_772_244_000_000),
        ("46081", 1_772_236_800_000),
        ("46081.0833333333", 1_772_244_000_000),
        ("46081,586805556", 1_772_287_500_000),
    ],
)
def test_the_time_of_a_conversion_is_read(text: str, at: int) -> None:
    notice = _read(f"at={text}".encode())
    assert (notice.converted_at, notice.flags) == (at, ())


@pytest.mark.parametrize(
    "text",
    [
        "1772366000000",
        "2024-02-30",
        "9999-12-31T23:59:59Z",
        "-5",
        "0",
        "soon",
        "٢٠٢٦-٠٣-٠١",
        "2026-03-01T25:00",
        "9" * 99,
        "05/06/2025",
        "5-6-2025 14:05",
        "30/02/2026",
        "31.11.2025",
        "13/13/2025",
        "28/02/26",
        "28/02/2026 13:00 PM",
        "28/02/2026 0:30 AM",
        "28/02/2026 14:60",
        "28 Foo 2026",
        "Feb 30, 2026",
        "20261332",
        "99999.5",
        "12345",
        "2026-03-01 11:00 +99:00",
        "30.11.2026",
    ],
)
def test_an_impossible_time_is_flagged_and_not_believed(text: str) -> None:
    notice = _read(f"at={text}".encode())
    assert (notice.converted_at, notice.flags) == (None, (NoticeFlag.AT_UNREADABLE,))


def test_disable_postback_and_return_are_read() -> None:
    notice = _read(b"disable_postback=1&return=DONE+ok")
    assert (notice.disable_postback, notice.return_text) == (True, "DONE ok")


def test_the_cookie_gives_the_click_id_where_no_parameter_does() -> None:
    assert _read(b"payout=1", cookie="c").click_id_text == "c"
    assert _read(b"cid=p", cookie="c").click_id_text == "p"


@pytest.mark.parametrize(
    "sent", [b"cid=", b"cid={sub1}", b"cid=${SUBID}", b"cid=%7Bsub1%7D", b"subid=[CID]", b"cid=%20"]
)
def test_the_cookie_gives_it_too_where_the_page_left_the_macro_as_it_is(sent: bytes) -> None:
    assert _read(sent, cookie="c").click_id_text == "c"


def test_without_a_cookie_an_unreplaced_macro_is_what_was_sent() -> None:
    assert _read(b"cid={sub1}").click_id_text == "{sub1}"


def test_a_genuine_click_id_is_found_in_any_case() -> None:
    click_id = CLICK_IDS.new(NOW)
    assert quick_verdict(_read(f"cid={click_id.upper()}".encode()), CLICK_IDS) == ClickId(click_id, NOW)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (b"", RefusalReason.NO_CLICK_ID),
        (b"cid=", RefusalReason.NO_CLICK_ID),
        (b"cid=12345", RefusalReason.MALFORMED_CLICK_ID),
        (b"cid=%00%ff", RefusalReason.MALFORMED_CLICK_ID),
        (b"cid=0123456789abcdefghjkmnpqrs", RefusalReason.FORGED_CLICK_ID),
        (b"cid={clickid}", RefusalReason.UNREPLACED_MACRO),
        (b"cid=${SUBID}", RefusalReason.UNREPLACED_MACRO),
    ],
)
def test_an_invalid_click_id_is_refused_without_a_store(query: bytes, reason: RefusalReason) -> None:
    assert quick_verdict(_read(query), CLICK_IDS) is reason


def test_a_stated_conversion_is_read_like_a_notice() -> None:
    stated = ConversionInput(
        click_id="a", payout="5 €", txid="t&x", params={3: "é"}, events={1: "2"}, disable_postback=True
    )
    notice = read_notice(raw_notice_of(stated, Channel.HAND, "n", NOW))
    assert (notice.click_id_text, notice.payout_text, notice.txid, notice.disable_postback) == ("a", "5 €", "t&x", True)
    assert (notice.parameters.params, notice.parameters.events) == ({3: "é"}, {1: "2"})


TYPES = st.sampled_from(["", FORM, "application/json", "multipart/form-data; boundary=x", "text/plain", "\0"])


@given(st.binary(max_size=300), st.binary(max_size=300), TYPES)
def test_no_bytes_raise_or_make_a_text_that_cannot_be_stored(query: bytes, body: bytes, content_type: str) -> None:
    notice = _read(query, body, content_type)
    assert b"\\u0000" not in msgspec.json.encode(notice)
    quick_verdict(notice, CLICK_IDS)


@given(st.dictionaries(st.text(max_size=10), st.text() | st.integers() | st.floats() | st.none(), max_size=5))
def test_no_json_raises(values: dict[str, object]) -> None:
    _read(b"", json.dumps(values).encode(), "application/json").arrival_order.encode()


@given(st.text("0123456789-:TZ.+ ,", max_size=30))
def test_no_time_raises(text: str) -> None:
    _read(b"at=" + text.encode().replace(b"+", b"%2B"))


def test_all_flags_together_fit_where_they_are_stored() -> None:
    payout_faults = [flag for flag in NoticeFlag if flag.startswith("payout_")]
    others = [flag for flag in NoticeFlag if flag not in payout_faults]
    assert len(",".join([*others, max(payout_faults, key=len)])) <= 400


def test_every_reason_has_a_sentence() -> None:
    assert all(reason.sentence.endswith(".") for reason in RefusalReason)
