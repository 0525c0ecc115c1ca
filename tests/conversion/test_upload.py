"""Uploaded files: the detected format and each line; no bytes break reading or lose a line."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clickloop.conversion.notice import Channel, RawNotice, read_notice
from clickloop.conversion.upload.columns import column_name
from clickloop.conversion.upload.lines import (
    HEAD_BYTES,
    FileFault,
    RejectedFile,
    UnreadableLine,
    UploadFormat,
    UploadLayout,
    UploadLine,
    detect,
    line_notice,
    lines_of,
    notice_id_of,
    reject_incomplete,
)
from clickloop.conversion.upload.table import MAX_CELLS, LineFault
from clickloop.conversion.upload.text import MAX_LINE_BYTES, Utf8Decoder, physical_lines
from clickloop.record_id import RecordIds
from clickloop.text import escape_bytes

NOW = 1_772_366_400_000
CID = "01kaqj6z8m4x2c9v7b5n3t1w0y"


def cut(content: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """Yield the bytes in pieces of these sizes, repeated."""
    at, turn = 0, 0
    while at < len(content):
        size = sizes[turn % len(sizes)]
        yield content[at : at + size]
        at, turn = at + size, turn + 1


def read(content: bytes, sizes: Sequence[int] = (65_536,)) -> list[UploadLine | UnreadableLine]:
    """Return the lines of a valid file."""
    layout = detect(content[:HEAD_BYTES])
    assert isinstance(layout, UploadLayout)
    return list(lines_of(layout, cut(content[layout.begins_at :], sizes)))


def queries(content: bytes) -> list[str]:
    """Return the query of each line, or its fault."""
    return [line.query if isinstance(line, UploadLine) else line.fault.value for line in read(content)]


# The form -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("clickid,payout\n", UploadFormat.CSV),
        ("Payout;SubID;x\n", UploadFormat.SEMICOLON),
        ("Click ID\tRevenue\n", UploadFormat.TSV),
        ("cid\n", UploadFormat.CSV),
        ('"click_id","payout, net"\n', UploadFormat.CSV),
        ("a,b;cid;c\n", UploadFormat.SEMICOLON),
        ("sep=;\r\ncid;payout\r\n", UploadFormat.SEMICOLON),
        ("\n\n  \ncid,payout\n", UploadFormat.CSV),
        (f"{CID}\n", UploadFormat.CLICK_IDS),
        ("{clickid}\n", UploadFormat.CLICK_IDS),
        (f"{CID}:5\n", UploadFormat.PAYOUT_STATUS),
        (f"{CID}:12,5:sale\n", UploadFormat.PAYOUT_STATUS),
        (f"{CID}::Hold\n", UploadFormat.PAYOUT_STATUS),
        (f"{CID}:::event_1=15\n", UploadFormat.PAYOUT_STATUS),
        (f"{CID}:payout=5:cnv_status=Hold\n", UploadFormat.KEY_VALUE),
    ],
)
def test_the_form_shows_in_the_first_line_that_is_not_empty(text: str, form: UploadFormat) -> None:
    layout = detect(text.encode())
    assert isinstance(layout, UploadLayout)
    assert layout.format is form


UNUSABLE: dict[FileFault, list[bytes]] = {
    FileFault.EMPTY: [b"", b"\n\r\n ", b" " * 70_000],
    FileFault.NOT_TEXT: [
        b"PK\x03\x04xl/workbook.xml",
        b"\x1f\x8b\x08\x00",
        b"%PDF-1.7",
        b"\x7fELF\2\1\1" + bytes(9) + b"\3\0>\0\1\0\0\0",
        b"\xd0\xcf\x11\xe0\xa1",
    ],
    FileFault.ENCODING: ["cid,payout\n".encode("utf-16-le"), "cid\n".encode("utf-16-be")],
    FileFault.NO_HEADER: [b"name,payout\nx,5\n", b'{"cid":"x"}\n', b"cid=x&payout=5\n", b"hello world\n", b"a\tb"],
    FileFault.HEADER_UNREADABLE: [
        b'"cid,payout\n',
        b"cid,pay\0out,note,note,note\n",
        b"cid," + b"x" * MAX_LINE_BYTES + b"\n",
    ],
    FileFault.REPEATED_COLUMN: [b"cid,payout,CID\n", b"cid;event 1;event_1\n"],
    FileFault.TOO_MANY_COLUMNS: [b"cid" + b",x" * MAX_CELLS + b"\n"],
}


def test_every_reason_not_to_take_a_file_has_its_case() -> None:
    assert set(UNUSABLE) == set(FileFault) - {FileFault.COLUMNS_NOT_UNDERSTOOD}


@pytest.mark.parametrize(("fault", "head"), [(fault, head) for fault, heads in UNUSABLE.items() for head in heads])
def test_a_file_that_cannot_be_taken_is_refused_with_its_reason(fault: FileFault, head: bytes) -> None:
    found = detect(head[:HEAD_BYTES])
    assert isinstance(found, RejectedFile)
    assert found.fault is fault
    assert found.sentence.startswith(fault.sentence)


def test_a_fault_of_the_header_is_placed_by_line_and_character() -> None:
    assert detect("\ncid,ö,payout,cid\n".encode()) == RejectedFile(FileFault.REPEATED_COLUMN, 2, 14)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (" ClickID ", "clickid"),
        ("Click ID", "click_id"),
        ("transaction-id", "transaction_id"),
        ("Event_12", "event12"),
        ("param 3", "param3"),
        ("Geo Name", "geo name"),
        ("AT", "at"),
    ],
)
def test_a_column_is_known_however_its_name_is_written(header: str, name: str) -> None:
    assert column_name(header) == name


# Tables ---------------------------------------------------------------------------------------------------------------


def test_a_row_means_the_same_as_a_postback_with_these_parameters() -> None:
    content = b"ClickID,Revenue,CNV_Status,OrderID,event_2,geo\r\n%b,12.5,lead,T-1,3,DE\r\n" % CID.encode()
    (line,) = read(content)
    assert isinstance(line, UploadLine)
    said = read_notice(line_notice(line, "u", NOW, postbacks=True))
    posted = RawNotice(
        notice_id=said.notice_id,
        at=NOW,
        channel=Channel.UPLOAD,
        method="",
        query=f"clickid={CID}&revenue=12.5&cnv_status=lead&orderid=T-1&event2=3&geo=DE",
    )
    assert said == read_notice(posted)
    assert said.parameters.others == {"geo": "DE"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cid,payout\na,5\nb,6\n", ["cid=a&payout=5", "cid=b&payout=6"]),
        ("cid,payout\r\na,5\r\nb,6", ["cid=a&payout=5", "cid=b&payout=6"]),
        ("cid,payout\ra,5\rb,6\r", ["cid=a&payout=5", "cid=b&payout=6"]),
        ("cid;payout\na;12,5\n", ["cid=a&payout=12%2C5"]),
        ('cid,payout\n"a","1,5"\n', ["cid=a&payout=1%2C5"]),
        ('cid,payout\n "a" , "1,5" \n', ["cid=a&payout=1%2C5"]),
        ('cid,note\na,"x""y"""\n', ["cid=a&note=x%22y%22"]),
        ('cid,note\na,"x\r\ny,\n"\nb,z\n', ["cid=a&note=x%0Ay%2C", "cid=b&note=z"]),
        ('cid,note\na,5" screen\n', ["cid=a&note=5%22%20screen"]),
        ("cid,payout,note\na\n", ["cid=a"]),
        ("cid,payout\na,5,,\n", ["cid=a&payout=5"]),
        ("cid,payout\na,\n,5\n", ["cid=a", "payout=5"]),
        ("cid,payout\n,\n \n,,,\n", []),
        ("cid,,x\na,1,2\n", ["cid=a&column2=1&x=2"]),
        ("cid,payout\na,=1+1\n", ["cid=a&payout=%3D1%2B1"]),
        ("cid,clickloop_verdict,note\na,new,'=b\n", ["cid=a&note=%3Db"]),
        ("cid,note\na,'=b\n", ["cid=a&note=%27%3Db"]),
        ("cid,token,disable_postback\na,secret,1\n", ["cid=a&token=secret&disable_postback=1"]),
    ],
)
def test_rows_are_read_as_spreadsheets_write_them(text: str, expected: list[str]) -> None:
    assert queries(text.encode()) == expected


def test_bytes_that_are_not_utf_8_are_kept() -> None:
    (line,) = read(b"cid,txid\na,\xff\xfe\xc0\n")
    assert isinstance(line, UploadLine)
    assert read_notice(line_notice(line, "u", NOW, postbacks=True)).txid == escape_bytes(b"\xff\xfe\xc0")


BAD: dict[LineFault, tuple[bytes, int, int]] = {
    LineFault.TOO_LONG: (b"cid,x\n\na," + b"x" * MAX_LINE_BYTES + b"\nb,1\n", 3, 0),
    LineFault.NUL: ("cid,x\nä,\0\nb,1\n".encode(), 2, 3),
    LineFault.TOO_MANY_CELLS: (b"cid,x\na,1,2\nb,1\n", 2, 0),
    LineFault.UNCLOSED_QUOTE: (b'cid,x\na,"1\nb,1\n', 2, 3),
    LineFault.TEXT_AFTER_QUOTE: (b'cid,x\na,"1"2\nb,1\n', 2, 6),
    LineFault.AMBIGUOUS_DATE: (b"cid,x,at\na,1,05/06/2025\nb,1,\n", 2, 5),
    LineFault.DAMAGED_ID: (b"cid,x,txid\na,1,1.23457E+14\nb,1\n", 2, 5),
}


def test_every_fault_of_a_line_has_its_case() -> None:
    assert set(BAD) == set(LineFault)


@pytest.mark.parametrize("fault", BAD)
@pytest.mark.parametrize("sizes", [(65_536,), (1,), (7, 3)])
def test_a_bad_line_is_placed_and_the_next_one_is_read(fault: LineFault, sizes: tuple[int, ...]) -> None:
    content, number, column = BAD[fault]
    bad, good = read(content, sizes)
    assert isinstance(bad, UnreadableLine)
    assert (bad.fault, bad.number, bad.column) == (fault, number, column)
    assert f"Line {number}" in bad.sentence
    assert isinstance(good, UploadLine)
    assert (good.number, good.query) == (number + 1, "cid=b&x=1")


def test_values_that_grow_beyond_a_notice_when_they_are_encoded_are_too_long() -> None:
    (bad,) = read(b"cid,x\na," + "ж".encode() * 4000)
    assert isinstance(bad, UnreadableLine)
    assert bad.fault is LineFault.TOO_LONG


def test_a_quote_that_stays_open_costs_its_own_line_only() -> None:
    lines = read(b'cid,x\na,"open\n' + b"b,1\n" * 10_000)
    assert [type(line) for line in lines[:2]] == [UnreadableLine, UploadLine]
    assert [line.number for line in lines] == list(range(2, 10_003))


@pytest.mark.parametrize(
    ("header", "query"),
    [
        ("cid;Payout (USD);Order Number", "cnv_currency=USD&cid=x&payout=5&txid=7"),
        ("cid;Payout $;TransactionId", "cnv_currency=USD&cid=x&payout=5&transactionid=7"),
        ("cid;payout_usd;Lead ID", "cnv_currency=USD&cid=x&payout=5&txid=7"),
        ("Click ID;Commission;Order ID", "click_id=x&payout=5&order_id=7"),
        ("cid;Earnings (R$);Sale ID", "cnv_currency=BRL&cid=x&payout=5&txid=7"),
        ("cid;Net Payout;Invoice Number", "cid=x&payout=5&txid=7"),
        ("cid;Revenue (EUR);Booking ID", "cnv_currency=EUR&cid=x&revenue=5&txid=7"),
        ("cid;Payout (kr);Order Ref", "cnv_currency=kr&cid=x&payout=5&txid=7"),
        ("cid;$ Commission;tid", "cnv_currency=USD&cid=x&payout=5&tid=7"),
        ("cid;Sale Amount;Order Status", "cid=x&sale%20amount=5&status=7"),
    ],
)
def test_columns_are_understood_as_networks_name_them(header: str, query: str) -> None:
    assert queries(f"{header}\nx;5;7\n".encode()) == [query]


def test_a_currency_column_counts_before_the_header_of_the_payout() -> None:
    (line,) = read(b"cid,Payout (USD),currency\nx,5,EUR\n")
    assert isinstance(line, UploadLine)
    assert read_notice(line_notice(line, "u", NOW, postbacks=True)).currency_text == "EUR"


@pytest.mark.parametrize(
    ("header", "unused", "missing"),
    [
        ("cid,payout,txid", (), ()),
        ("cid,payout,Commission,txid", ("Commission",), ()),
        ("cid,amount,Commission,txid", (), ()),
        ("cid,Commission,Earnings", ("Earnings",), ("txid",)),
        ("cid,status", (), ("payout", "txid")),
        ("cid,Geld,Nummer", ("Geld", "Nummer"), ("payout", "txid")),
        ("clickloop_line,cid,payout,clickloop_flags,txid", (), ()),
        ("cid,,payout,txid", (), ()),
    ],
)
def test_unused_columns_and_values_without_a_column_are_reported(
    header: str, unused: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    layout = detect(f"{header}\n".encode())
    assert isinstance(layout, UploadLayout)
    assert (layout.unused(), layout.missing()) == (unused, missing)


@pytest.mark.parametrize(
    ("header", "is_complete"), [("cid,status", True), ("cid,Geld", False), ("cid,payout,No", False)]
)
def test_a_table_is_complete_unless_a_column_may_be_what_is_missing(header: str, is_complete: bool) -> None:
    layout = detect(f"{header}\n".encode())
    assert isinstance(layout, UploadLayout)
    found = reject_incomplete(layout)
    assert (found == layout) is is_complete
    if isinstance(found, RejectedFile):
        assert header.split(",")[-1] in found.sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('cid,payout,txid\n="x",5,="00123"\n', "cid=x&payout=5&txid=00123"),
        ('cid,payout,txid\n"=""x""",5,"=""00123"""\n', "cid=x&payout=5&txid=00123"),
        ('="cid";="txid"\n="x";="0 1"\n', "cid=x&txid=0%201"),
        ('cid,txid\nx,="a""b"\n', "cid=x&txid=a%22b"),
        ('cid,txid\nx,=""\n', "cid=x"),
    ],
)
def test_a_cell_that_keeps_an_id_from_a_spreadsheet_is_read_without_its_cover(text: str, expected: str) -> None:
    assert queries(text.encode()) == [expected]


@pytest.mark.parametrize("text", ["1.23457E+14", "1,23457E+14", "1E+15", "9.9e+20"])
@pytest.mark.parametrize("column", ["txid", "Order Number", "conversion_id"])
def test_an_id_that_a_spreadsheet_rounded_makes_no_notice(text: str, column: str) -> None:
    assert queries(f"cid;payout;{column}\nx;5;{text}\n".encode()) == [LineFault.DAMAGED_ID.value]


@pytest.mark.parametrize("text", ["1E5", "12E4", "E+14", "1.5e-3", "ab1.2E+10"])
def test_an_id_that_only_looks_alike_is_kept(text: str) -> None:
    assert queries(f"cid;txid\nx;{text}\n".encode()) == [f"cid=x&txid={quote(text, safe='')}"]


@pytest.mark.parametrize("sizes", [[65_536], [1], [3, 2]])
@pytest.mark.parametrize(
    ("text", "content", "encoding"),
    [
        ("cid;payout\nx;12,50 €\n", "cid;payout\nx;12,50 €\n".encode("cp1252"), "windows-1252"),
        ("cid;payout\nx;12,50 €\n", "cid;payout\nx;12,50 €\n".encode(), "utf-8"),
        ("é", b"\xe9", "windows-1252"),
        ("Zürich “x”\n" * 200, ("Zürich “x”\n" * 200).encode("cp1252"), "windows-1252"),
        ("x\x81\x9d", b"x\x81\x9d", "windows-1252"),
        ("plain", b"plain", "utf-8"),
    ],
)
def test_a_file_that_is_no_utf_8_is_read_as_windows_1252(
    text: str, content: bytes, encoding: str, sizes: list[int]
) -> None:
    decoder = Utf8Decoder()
    passed = b"".join([decoder.take(piece) for piece in cut(content, sizes)]) + decoder.end()
    assert (passed.decode(), decoder.encoding) == (text, encoding)


# Lines ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", "cid=x"),
        ("x:5", "cid=x&payout=5"),
        ("x:5:Hold", "cid=x&payout=5&status=Hold"),
        ("x::Hold", "cid=x&status=Hold"),
        ("x:auto:Hold", "cid=x&status=Hold"),
        ("x:AUTO", "cid=x"),
        ("x:::event_1=15", "cid=x&event1=15"),
        ("x:5:Hold:event_1=15:event_30=2", "cid=x&payout=5&status=Hold&event1=15&event30=2"),
        ("x:payout=5:cnv_status=Hold:cnv_currency=EUR", "cid=x&payout=5&cnv_status=Hold&cnv_currency=EUR"),
        ("x:cnv_status=Hold:payout=5", "cid=x&cnv_status=Hold&payout=5"),
        ("x:payout=auto", "cid=x"),
        ("x:payout_usd=5:Order-Number=7", "cid=x&cnv_currency=USD&payout=5&txid=7"),
        (" x : 5 : Hold ", "cid=x&payout=5&status=Hold"),
        ("x:at=2026-03-01T12:00:00Z:txid=a:b", "cid=x&at=2026-03-01T12%3A00%3A00Z&txid=a%3Ab"),
        ("x:txid=a=b", "cid=x&txid=a%3Db"),
        ("x:-3:rejected", "cid=x&payout=-3&status=rejected"),
        ("x:a:b:c", LineFault.TOO_MANY_CELLS.value),
        ("x" + ":k=1" * MAX_CELLS, LineFault.TOO_MANY_CELLS.value),
        ("x:\0", LineFault.NUL.value),
        ("x:5:sale:txid=1.23457E+14", LineFault.DAMAGED_ID.value),
    ],
)
def test_lines_are_read_in_both_forms_of_binom(text: str, expected: str) -> None:
    assert queries(f"first\n{text}\n".encode())[1] == expected


def test_the_position_of_an_extra_part_is_reported() -> None:
    bad = read("é:5:a:b".encode())[0]
    assert isinstance(bad, UnreadableLine)
    assert (bad.number, bad.column) == (1, 7)


# Encodings ------------------------------------------------------------------------------------------------------------


@given(
    text=st.text(max_size=60),
    encoding=st.sampled_from(["utf-8-sig", "utf-16", "utf-32"]),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4),
)
def test_a_marked_encoding_comes_out_as_utf_8_however_it_is_cut(text: str, encoding: str, sizes: list[int]) -> None:
    decoder = Utf8Decoder()
    given_text = b"".join([decoder.take(piece) for piece in cut(text.encode(encoding), sizes)]) + decoder.end()
    assert given_text == text.encode()


@given(content=st.binary(max_size=60), sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_bytes_without_a_mark_pass_unchanged_or_as_windows_1252(content: bytes, sizes: list[int]) -> None:
    decoder = Utf8Decoder()
    passed = b"".join([decoder.take(piece) for piece in cut(content, sizes)]) + decoder.end()
    marks = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\x00\x00\xfe\xff")
    windows = content.decode("latin-1").translate(
        {at: bytes([at]).decode("cp1252", "ignore") or chr(at) for at in range(0x80, 0xA0)}
    )
    if not content.startswith(marks):
        assert passed in (content, windows.encode())
        assert passed == content or decoder.encoding == "windows-1252"


# Whatever comes -------------------------------------------------------------------------------------------------------

_PARTS = st.sampled_from(
    [b"cid", b"payout", b",", b";", b"\t", b'"', b'""', b"\n", b"\r", b"\r\n", b":", b"=", b"\0", b" ", b"\xff", b"x"]
)
_TEXTS = st.lists(_PARTS | st.binary(max_size=4), max_size=60).map(b"".join)
_FILES = st.tuples(st.sampled_from([b"", b"cid,payout\n", b"a;cid\n", b"x:5\n", b"\xef\xbb\xbfcid\t\n"]), _TEXTS).map(
    b"".join
)


@settings(max_examples=400, deadline=None)
@given(content=_FILES, sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4))
def test_no_bytes_break_the_reading_and_how_they_are_cut_changes_nothing(content: bytes, sizes: list[int]) -> None:
    layout = detect(content)
    if isinstance(layout, RejectedFile):
        return
    body = content[layout.begins_at :]
    whole = list(lines_of(layout, [body]))
    assert list(lines_of(layout, cut(body, sizes))) == whole
    for line in whole:
        if isinstance(line, UploadLine):
            read_notice(line_notice(line, "u", NOW, postbacks=False))
        else:
            assert line.sentence


@settings(max_examples=400, deadline=None)
@given(content=_FILES)
def test_line_numbers_and_places_are_those_of_the_file(content: bytes) -> None:
    layout = detect(content)
    if isinstance(layout, RejectedFile):
        return
    ends = [found.end() for found in re.finditer(rb"\r\n|\r|\n|$", content)]
    before = layout.first_line - 1
    for line in lines_of(layout, [content[layout.begins_at :]]):
        assert before < line.number < line.next_number
        assert line.ends_at == ends[line.next_number - 2]
        before = line.next_number - 1


@settings(max_examples=300, deadline=None)
@given(content=_FILES, place=st.integers(0, 40))
def test_reading_resumes_after_any_line_as_if_it_had_not_stopped(content: bytes, place: int) -> None:
    layout = detect(content)
    if isinstance(layout, RejectedFile):
        return
    whole = list(lines_of(layout, [content[layout.begins_at :]]))
    if place < len(whole):
        last = whole[place]
        rest = lines_of(layout, [content[last.ends_at :]], last.next_number, last.ends_at)
        assert list(rest) == whole[place + 1 :]


@given(lines=st.lists(st.binary(max_size=20).map(lambda content: re.sub(rb"[\r\n]", b"", content)), max_size=8))
def test_each_physical_line_is_yielded_once_with_its_content(lines: list[bytes]) -> None:
    content = b"".join(line + b"\n" for line in lines)
    found = list(physical_lines(cut(content, [3])))
    assert [line.content for line in found] == lines
    assert [line.number for line in found] == list(range(1, len(lines) + 1))


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=8),
            min_size=2,
            max_size=2,
        ),
        max_size=6,
    )
)
def test_what_a_csv_writer_wrote_is_read_back(rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["cid", "note"], *rows])
    found = [line.cells for line in read(text.getvalue().encode())]
    wanted = [tuple(cell.encode() for cell in row) for row in rows]
    assert found == [row for row in wanted if any(cell.strip() for cell in row)]


# Notices of lines -----------------------------------------------------------------------------------------------------


@given(numbers=st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=6, unique=True))
def test_ids_of_lines_are_theirs_alone_and_ascend(numbers: list[int]) -> None:
    ids = {number: notice_id_of("u", NOW, number) for number in sorted(numbers)}
    assert sorted(set(ids.values())) == list(ids.values())
    assert all(len(notice_id) == 26 for notice_id in ids.values())


def test_ids_of_two_uploads_of_one_moment_differ() -> None:
    new_id = RecordIds(lambda: NOW)
    ids = {notice_id_of(new_id(), NOW, number) for _ in range(100) for number in range(100)}
    assert len(ids) == 10_000
