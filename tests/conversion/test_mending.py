"""Notices with text around the click id, excessive encoding, or empty values after filled ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click_id import ClickId, ClickIds
from clickloop.conversion.mending import mended_click_id
from clickloop.conversion.notice import (
    Channel,
    Notice,
    NoticeFlag,
    RawNotice,
    RefusalReason,
    quick_verdict,
    read_notice,
)
from clickloop.conversion.parameter_meaning import ParameterMeaning, interpreted_parameters, sent_tokens
from clickloop.text import escape_bytes

NOW = 1_772_366_400_000
CLICK_IDS = ClickIds(b"k" * 32)
ID = CLICK_IDS.new(NOW)


def _raw(query: str, body: str = "", content_type: str = "", cookie: str = "") -> RawNotice:
    return RawNotice(
        notice_id="n",
        at=NOW,
        channel=Channel.S2S,
        query=escape_bytes(query.replace("~", ID).encode()),
        body=escape_bytes(body.replace("~", ID).encode()),
        content_type=content_type,
        cookie_click_id=cookie,
    )


def _read(query: str, body: str = "", content_type: str = "", cookie: str = "") -> Notice:
    return read_notice(_raw(query, body, content_type, cookie))


def _is_accepted(notice: Notice) -> bool:
    return isinstance(quick_verdict(notice, CLICK_IDS), ClickId)


@pytest.mark.parametrize(
    "query",
    [
        "cid=~%26payout=5%26txid=T1",
        "cid=~%26payout%3D5%26txid%3DT1",
        "cid=~%26amp;payout=5%26amp;txid=T1",
        "cid=~?payout=5&txid=T1",
        "cid=~%3Fpayout%3D5&txid=T1",
        "cid=~;payout=5;txid=T1",
        "cid=~}&payout=5&txid=T1",
        "cid={~}&payout=5&txid=T1",
        "cid=%22~%22&payout=5&txid=T1",
        "cid=~/&payout=5&txid=T1",
        "cid=~.&payout=5&txid=T1",
        "cid=~%E2%80%8B&payout=5&txid=T1",
        "cid=~%23top&payout=5&txid=T1",
        "cid==~&payout=5&txid=T1",
        "subid=~%26PAYOUT=5&txid=T1",
    ],
)
def test_a_click_id_with_something_around_it_is_read_with_what_is_behind_it_and_flagged(query: str) -> None:
    notice = _read(query)
    assert _is_accepted(notice)
    assert (notice.click_id_text, notice.payout_text, notice.txid) == (ID, "5", "T1")
    assert notice.flags == (NoticeFlag.CLICK_ID_MENDED,)
    assert notice.parameters.others == {}


@pytest.mark.parametrize(
    "query", ["cid=~,5.00,sale", "cid=~:5:sale", "cid=~|5", "cid=~_2", "cid=x~", "cid=~%26payout", "cid=~x&payout=5"]
)
def test_what_may_be_a_value_behind_a_click_id_is_not_stepped_over(query: str) -> None:
    assert quick_verdict(_read(query), CLICK_IDS) is RefusalReason.MALFORMED_CLICK_ID


def test_a_parameter_behind_the_click_id_takes_nothing_from_one_that_came_by_itself() -> None:
    notice = _read("cid=~%26payout=9%26status=hold&payout=5")
    assert (notice.payout_text, notice.status_word) == ("5", "hold")


def test_a_mended_click_id_is_still_checked_by_its_tag() -> None:
    query = "cid={0123456789abcdefghjkmnpqrs}"
    assert quick_verdict(_read(query), CLICK_IDS) is RefusalReason.FORGED_CLICK_ID


def test_a_token_behind_the_click_id_counts_and_is_masked() -> None:
    raw = _raw("cid=~%26token=s3cret-token%26payout=5")
    assert read_notice(raw).token == "s3cret-token"
    assert "s3cret-token" in sent_tokens(raw)


@pytest.mark.parametrize("query", ["cid%3D~%26payout%3D5%26txid%3DT1", "cid%3d~%26payout%3d5%26amp;txid%3dT1"])
def test_a_query_that_was_encoded_as_a_whole_is_read(query: str) -> None:
    notice = _read(query)
    assert (notice.click_id_text, notice.payout_text, notice.txid) == (ID, "5", "T1")
    assert notice.flags == (NoticeFlag.NAME_MENDED,)


@pytest.mark.parametrize(
    ("query", "body", "content_type"),
    [
        ("cid=~&payout=5&payout=&cid=", "", ""),
        ("cid=~&payout=5", '{"cid":null,"payout":null}', "application/json"),
        ("cid=~&payout=5", '{"cid":"","payout":""}', "application/json"),
        ("cid=~&payout=5", "cid=&payout=", "application/x-www-form-urlencoded"),
        ("payout=&cid=&cid=~&payout=5", "", ""),
    ],
)
def test_an_empty_value_takes_nothing_away(query: str, body: str, content_type: str) -> None:
    notice = _read(query, body, content_type)
    assert (notice.click_id_text, notice.payout_text) == (ID, "5")


@pytest.mark.parametrize(
    "query",
    [
        "cid={sub1}&clickid=~&payout={payout}&revenue=5&txid={txid}&order_id=T1",
        "cid=null&click_id=~&payout=[PAYOUT]&amount=5&txid=#order#&tid=T1",
        "cid=0&subid=~&payout=${PAYOUT}&sum=5&txid=__TXID__&orderid=T1",
    ],
)
def test_an_unreplaced_macro_does_not_hide_a_value_under_another_name(query: str) -> None:
    notice = _read(query)
    assert (notice.click_id_text, notice.payout_text, notice.txid) == (ID, "5", "T1")
    by_name = {found.name: found.meaning for found in interpreted_parameters(_raw(query))}
    assert (by_name["cid"], by_name["payout"], by_name["txid"]) == (ParameterMeaning.SECOND,) * 3


def test_orders_under_the_name_transactionid_stay_apart() -> None:
    assert [_read(f"cid=~&TransactionID={number}").txid for number in (1, 2)] == ["1", "2"]


def test_a_macro_alone_is_still_an_unreplaced_macro() -> None:
    assert quick_verdict(_read("cid={sub1}&subid={sub2}"), CLICK_IDS) is RefusalReason.UNREPLACED_MACRO


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_around_a_click_id_raises_or_yields_another_id(before: str, after: str) -> None:
    found = mended_click_id(before + ID + after)
    assert found is None or found[0] == ID or ID not in found[0]
