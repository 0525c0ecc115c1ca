"""The parameters of a notice in each form of body that networks send, including malformed ones."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.conversion.multipart_body import form_fields, header_parameters
from clickloop.conversion.pairs import Pairs, read_pairs
from clickloop.text import unescape_bytes
from tests.steps import executed_lines

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=xx"
ORDER = {"cid": "C", "payout": "5", "txid": "T1"}
TEXT = '{"cid":"C","payout":5,"txid":"T1"}'


def multipart(*pairs: tuple[str, str], disposition: str = "form-data; name={}", end: str = "\r\n") -> bytes:
    """Return a body with these parts; ``disposition`` is the header that names a part."""
    lines = []
    for name, value in pairs:
        lines += ["--xx", "Content-Disposition: " + disposition.format(name), "", value]
    return (end.join(lines) + end + "--xx--" + end).encode()


def values(body: bytes, content_type: str) -> dict[str, str]:
    found = read_pairs(b"", body, content_type)
    assert not found.body_unreadable
    return found.values


BODIES: dict[str, Callable[[str, str, str], tuple[bytes, str]]] = {
    "form": lambda cid, payout, txid: (f"{cid}=C&{payout}=5&{txid}=T1".encode(), FORM),
    "json": lambda cid, payout, txid: (json.dumps({cid: "C", payout: 5, txid: "T1"}).encode(), JSON),
    "multipart": lambda cid, payout, txid: (multipart((cid, "C"), (payout, "5"), (txid, "T1")), MULTIPART),
}


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize(
    "leftover", ["amp;", "AMP;", "amp;amp;", "amp;AMP;Amp;", "#38;", "#038;", "#x26;", "#X26;", "?"]
)
def test_in_every_body_a_name_with_leftovers_is_the_name_behind_them(kind: str, leftover: str) -> None:
    body, content_type = BODIES[kind](f"{leftover}cid", f"{leftover}payout", "txid")
    if kind == "multipart":
        body, content_type = (
            multipart(
                (f"{leftover}cid", "C"), (f"{leftover}payout", "5"), ("txid", "T1"), disposition='form-data; name="{}"'
            ),
            MULTIPART,
        )
    found = read_pairs(b"", body, content_type)
    assert found == Pairs(ORDER, name_mended=True)


def test_what_html_escaped_in_a_query_is_read_as_it_was_meant() -> None:
    query = b"cid=C&amp;status=rejected&payout=5&#038;+txid=T1&amp;"
    assert read_pairs(query, b"", "") == Pairs(ORDER | {"status": "rejected"}, name_mended=True)


def test_the_last_of_a_mended_and_a_plain_name_counts() -> None:
    assert read_pairs(b"payout=1&amp;payout=2", b"", "").values == {"payout": "2"}
    assert read_pairs(b"amp;payout=1&payout=2", b"", "").values == {"payout": "2"}


@pytest.mark.parametrize(
    ("query", "kept"),
    [(b"txid=a%26amp;b", "a&amp;b"), (b"txid=amp;x", "amp;x"), (b"txid=%23038;", "#038;"), (b"txid=??", "??")],
)
def test_a_value_keeps_what_would_be_a_leftover_in_a_name(query: bytes, kept: str) -> None:
    assert read_pairs(query, b"", "") == Pairs({"txid": kept})


@pytest.mark.parametrize(
    "content_type", [JSON, f"{JSON}; charset=utf-8", "text/plain", FORM, "", "application/vnd.x+json"]
)
def test_a_byte_order_mark_before_json_is_ignored(content_type: str) -> None:
    assert values(b"\xef\xbb\xbf" + TEXT.encode(), content_type) == ORDER


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (TEXT.encode("utf-16"), JSON),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "text/json"),
        (TEXT.encode("utf-16-le"), f"{JSON}; charset=utf-16"),
        (TEXT.encode("utf-16-be"), f"{JSON}; charset=UTF-16BE"),
        (TEXT.encode("utf-16-le"), JSON),
        ("cid=C&payout=5&txid=T1".encode("utf-16"), FORM),
        (b"\xef\xbb\xbfcid=C&payout=5&txid=T1", FORM),
    ],
)
def test_utf_16_and_marks_before_forms_are_read(body: bytes, content_type: str) -> None:
    assert values(body, content_type) == ORDER


def test_a_body_that_only_claims_to_be_utf_16_is_read_as_it_is() -> None:
    assert values(TEXT.encode(), f"{JSON}; charset=utf-16") == ORDER


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"cid=C&payout=5&txid=T1", JSON),
        (b"cid=C&payout=5&txid=T1", "text/plain"),
        (TEXT.encode(), "text/plain"),
        (TEXT.encode(), "multipart/form-data; boundary=none"),
        (b"[" + TEXT.encode() + b"]", JSON),
        (b" [ " + TEXT.encode() + b" ] ", FORM),
        (json.dumps(TEXT).encode(), JSON),
        (multipart(*ORDER.items()), FORM),
        (multipart(*ORDER.items()), "multipart/form-data"),
        (multipart(*ORDER.items()), ""),
    ],
)
def test_a_body_of_another_type_than_it_claims_is_read_as_what_it_is(body: bytes, content_type: str) -> None:
    if "boundary=none" in content_type:
        assert read_pairs(b"", body, content_type).body_unreadable
    else:
        assert values(body, content_type) == ORDER


@pytest.mark.parametrize("body", [b"[]", b'[{"cid":"a"},{"cid":"b"}]', b'["cid"]', b'"cid"', b'"{"', b"7", b"{"])
def test_json_that_is_not_one_object_is_unreadable_and_never_guessed(body: bytes) -> None:
    assert read_pairs(b"cid=q", body, JSON) == Pairs({"cid": "q"}, body_unreadable=True)


@pytest.mark.parametrize(
    "disposition",
    [
        "form-data; name={}",
        'form-data; name="{}"',
        "form-data; name='{}'",
        "form-data;name={}",
        "form-data; NAME={}",
        'form-data; name = "{}"',
        "form-data; name*=UTF-8''{}",
        "form-data; name={}; filename=x.txt",
        'form-data; filename="name=y; z"; name={}',
        'form-data; filename="a\\"; name=no"; name="{}"',
        'form-data; name="{}',
        'form-data;\r\n name="{}"',
        "attachment; name={}",
    ],
)
def test_the_name_of_a_part_is_found_however_it_is_written(disposition: str) -> None:
    assert values(multipart(*ORDER.items(), disposition=disposition), MULTIPART) == ORDER


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (multipart(*ORDER.items(), end="\n"), MULTIPART),
        (multipart(*ORDER.items())[: -len(b"--xx--\r\n")], MULTIPART),
        (multipart(*ORDER.items())[: -len(b"\r\n--xx--\r\n")], MULTIPART),
        (b"preamble\r\n" + multipart(*ORDER.items()) + b"epilogue", MULTIPART),
        (multipart(*ORDER.items()) + b"--xx\r\nContent-Disposition: form-data; name=payout\r\n\r\n9\r\n", MULTIPART),
        (multipart(*ORDER.items()), 'multipart/form-data; charset=utf-8; boundary="xx"'),
        (multipart(*ORDER.items()), "Multipart/Form-Data; Boundary=xx"),
        (multipart(*ORDER.items()), "multipart/mixed; boundary=xx"),
        (multipart(*ORDER.items()).replace(b"Content-Disposition", b"content-disposition"), MULTIPART),
        (
            multipart(*ORDER.items()).replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"),
            MULTIPART,
        ),
        (multipart(*ORDER.items()).replace(b"--xx", b"--a b"), 'multipart/form-data; boundary="a b"'),
    ],
)
def test_a_multipart_body_is_read_however_it_is_framed(body: bytes, content_type: str) -> None:
    assert values(body, content_type) == ORDER


def test_a_multipart_body_within_a_part_is_read_and_one_within_that_is_not() -> None:
    inner = multipart(*ORDER.items()).replace(b"--xx", b"--yy")
    outer = b"--xx\r\nContent-Type: multipart/form-data; boundary=yy\r\n\r\n" + inner + b"--xx--\r\n"
    assert values(outer, MULTIPART) == ORDER
    outermost = b"--zz\r\nContent-Type: multipart/mixed; boundary=xx\r\n\r\n" + outer + b"--zz--\r\n"
    assert "cid" not in values(outermost, "multipart/mixed; boundary=zz")


def test_values_with_line_ends_and_empty_ones_are_kept() -> None:
    assert values(multipart(("a", "x\r\ny"), ("b", ""), ("c", " z ")), MULTIPART) == {
        "a": "x\r\ny",
        "b": "",
        "c": " z ",
    }


def test_an_extended_name_wins_and_is_decoded() -> None:
    assert header_parameters(b"form-data; name=cafe; name*=UTF-8'en'caf%C3%A9") == {b"name": "café".encode()}


@given(
    st.lists(
        st.sampled_from(
            [b"--xx", b"\r\n", b"\n", b'name="', b"name=", b";", b'"', b"\\", b"=", b"a", b"'", b"Content-Disposition:"]
        ),
        max_size=80,
    )
)
def test_any_mixture_of_multipart_pieces_is_read(pieces: list[bytes]) -> None:
    list(form_fields(b"".join(pieces), b"xx"))
    header_parameters(b"".join(pieces))


@pytest.mark.parametrize(
    "piece", [b"--xx\r\n", b";", b'"', b'\\"', b"=", b"a=;", b'name="', b"\n\n", b"--xx--", b"amp;", b"\xff\xfe"]
)
def test_a_body_of_one_repeated_piece_is_read_within_the_limits(piece: bytes) -> None:
    for content_type in (MULTIPART, FORM, JSON, ""):
        read_pairs(b"", piece * (256 * 1024 // len(piece)), content_type)


@pytest.mark.parametrize(
    "body",
    [
        b'{"cid":"C","name":"Ren\xe9"}',
        b'{"n\xe9":"1","cid":"C"}',
        b'{"cid":"C","name":"\\ud83d"}',
        b'{"\\udc00":1,"cid":"C"}',
        b'{"cid":"C","list":["\\ud800"]}',
        b'[{"cid":"C","name":"\\ud83d"}]',
        b' [ {"cid":"C","name":"Ren\xe9"} ] ',
        b'{"cid":"C","name":"two\nlines\tand a tab"}',
        b'{"cid":"C","rate":NaN,"ratio":-Infinity}',
        b'{"cid":"C"}\r\n\0',
    ],
)
def test_an_id_is_read_from_json_that_is_wrong_somewhere_else(body: bytes) -> None:
    found = read_pairs(b"", body, JSON)
    assert (found.values["cid"], found.body_unreadable) == ("C", False)


def test_values_in_another_charset_stay_apart_byte_for_byte() -> None:
    texts = [values(b'{"txid":"caf%b","x":{"y":"%b","z":1.50}}' % (byte, byte), JSON) for byte in (b"\xe8", b"\xe9")]
    assert [unescape_bytes(text["txid"]) for text in texts] == [b"caf\xe8", b"caf\xe9"]
    assert [unescape_bytes(text["x"]) for text in texts] == [b'{"y":"\xe8","z":1.50}', b'{"y":"\xe9","z":1.50}']


def test_an_emoji_next_to_another_charset_is_read_and_half_of_one_keeps_its_bytes() -> None:
    assert unescape_bytes(values(b'{"a":"\\ud83d\\ude00 \xe9"}', JSON)["a"]) == "😀 ".encode() + b"\xe9"
    assert unescape_bytes(values(b'{"a":"\\ud83d"}', JSON)["a"]) == b"\xed\xa0\xbd"


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"\xe9"',
        b'{"a":"\xe9","b":',
        b'{"a":"\xe9" "b":1}',
        b'{"a":"\xe9"}}',
        b'{"a":"\xe9"}[]',
        b'{"\xe9"}',
        b'["\xe9"]',
    ],
)
def test_json_that_has_no_end_or_no_form_stays_unreadable(body: bytes) -> None:
    assert read_pairs(b"cid=q", body, JSON) == Pairs({"cid": "q"}, body_unreadable=True)


@pytest.mark.parametrize(
    "filling", [json.dumps("y" * 20_000), json.dumps([{"sku": 1}] * 5_000), '"\xe9' + "y" * 250_000 + '"']
)
@pytest.mark.parametrize("order", ["{{{0},{1}}}", "{{{1},{0}}}", "[{{{1},{0}}}]"])
def test_of_a_long_json_object_the_members_that_fit_are_read(filling: str, order: str) -> None:
    body = order.format(TEXT[1:-1], f'"basket":{filling}').encode("latin-1")
    assert read_pairs(b"", body, JSON) == Pairs(ORDER, body_cut=True)


def test_of_a_long_json_object_no_more_than_16_kb_are_read() -> None:
    found = read_pairs(b"", json.dumps({f"k{number}": "x" * 1_000 for number in range(90)}).encode(), JSON)
    assert (len(found.values), found.body_cut) == (16, True)


@pytest.mark.parametrize(
    "body",
    [
        '{"cid":"C","payout":5,"txid":"T1",}',
        '{"cid":"C","payout":5,"txid":"T1",,}',
        '{,"cid":"C",, "payout":5,"txid":"T1"}',
        '[{"cid":"C","payout":5,"txid":"T1",}]',
        '[{"cid":"C","payout":5,"txid":"T1"},]',
        "{'cid':'C','payout':5,'txid':'T1'}",
        "{'cid': 'C', 'payout': '5', 'txid': 'T1'}",
        '{cid:"C",payout:5,txid:"T1"}',
        '{"cid":C,"payout":5,"txid":T1}',
        '{"cid" : C , "payout" : 5 , "txid" : T1 }',
        ' {\n"cid": "C",\n"payout": 5,\n"txid": "T1",\n} \0',
        json.dumps('{"cid":"C","payout":5,"txid":"T1",}'),
    ],
)
@pytest.mark.parametrize("content_type", [JSON, FORM, ""])
def test_an_object_that_is_no_json_is_read_where_it_is_plain_what_was_meant(body: str, content_type: str) -> None:
    found = read_pairs(b"", body.encode(), content_type if body[0] != '"' else JSON)
    assert found == Pairs(ORDER, body_mended=True)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("", ""),
        (" ", ""),
        ("None", ""),
        ("undefined", ""),
        ("{payout}", "{payout}"),
        ("{{payout}}", "{{payout}}"),
        ("${PAYOUT}", "${PAYOUT}"),
        ("#price#", "#price#"),
        ("[PAYOUT]", "[PAYOUT]"),
        ("%PAYOUT%", "%PAYOUT%"),
        ("12,5", "12,5"),
        ("1,234.50", "1,234.50"),
        (".5", ".5"),
        ("007", "007"),
        ("$5", "$5"),
        ("5 USD", "5 USD"),
        ("'it\\'s'", "it's"),
        ("caf\xe9", "café"),
    ],
)
@pytest.mark.parametrize("order", ['{{"payout":{},"cid":"C"}}', '{{"cid":"C","payout":{}}}', '{{"payout":{},}}'])
def test_a_value_without_quotes_is_read_as_it_is(value: str, meant: str, order: str) -> None:
    found = read_pairs(b"", order.format(value).encode(), JSON)
    assert (found.values["payout"], found.body_mended, found.body_unreadable) == (meant, True, False)


@pytest.mark.parametrize(
    "body",
    [
        '{"cid":"C","payout":12',
        '{"cid":"C","payout":12,',
        '{"cid":"C","payout":"12',
        '{"cid":"C","payout":,',
        '{"cid":"Joe "The" Doe","payout":5}',
        '{"payout":1 2 "cid":"C"}',
        '{"payout":[1,2,"cid":"C"}',
        '{"cid":"C",}{"cid":"D",}',
        '{"cid":"C",} x',
        '[{"cid":"C",},{"cid":"D",}]',
        '{"payout":5"cid":"C"}',
        "{'payout':'5}",
        "{" + '"a":,' * 5_000 + "}",
    ],
)
def test_what_could_be_meant_in_two_ways_or_ends_too_early_stays_unreadable(body: str) -> None:
    found = read_pairs(b"cid=q", body.encode(), JSON)
    assert (found.values, found.body_unreadable) == ({"cid": "q"}, True)


def test_of_a_long_object_that_is_no_json_the_members_that_fit_are_read() -> None:
    basket = json.dumps([{"sku": 1}] * 5_000)
    found = read_pairs(b"", f'{{"basket":{basket},"cid":"C","payout":5,"txid":"T1","sub2":,}}'.encode(), JSON)
    assert found == Pairs({**ORDER, "sub2": ""}, body_cut=True, body_mended=True)


@pytest.mark.parametrize("member", ['"a":NaN,', '"a":,', "'a':1,", "a:1,", '"a":1,', '"a" : [1] ,'])
def test_an_object_of_tens_of_thousands_of_members_takes_as_many_steps_as_one_of_thousands(member: str) -> None:
    def read(size: int) -> None:
        body = ("{" + member * (size // len(member)) + "}").encode()
        assert read_pairs(b"cid=q", body, JSON).values == {"cid": "q"}

    assert executed_lines(lambda: read(250_000)) == executed_lines(lambda: read(25_000))
