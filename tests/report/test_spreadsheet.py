"""CSV for spreadsheets: no text runs as a formula, numbers stay numbers, and everything can be read back."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.conversion.upload.cells import without_apostrophes
from clickloop.report.spreadsheet import csv_line


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", b"'=1+1"),
        ("+cmd|' /C calc'!A0", b"'+cmd|' /C calc'!A0"),
        ("-2+3", b"'-2+3"),
        ("@SUM(A1)", b"'@SUM(A1)"),
        ("\t=1", b"\"'\t'=1\""),
        ("＝1+1", "'＝1+1".encode()),
        ("-3", b"-3"),
        ("+5", b"+5"),
        ("-12.50", b"-12.50"),
        ("12,5", b'"12,5"'),
        (7, b"7"),
        ("a=b", b"a=b"),
        ('say "x", y', b'"say ""x"", y"'),
        (" x", b'" x"'),
        (" =1+1", b"' =1+1"),
        ('"=1+1', b'"\'""=1+1"'),
        ("a;=1+1;b", b'"a;\'=1+1;b"'),
        ("a\t@SUM(A1)", b'"a\t\'@SUM(A1)"'),
        ("a\r\n-2+3", b'"a\r\n\'-2+3"'),
        ('a";"=1+1', b'"a"";""\'=1+1"'),
        ("a; =1", b'"a; \'=1"'),
        ("a;＝1", '"a;\'＝1"'.encode()),
        ("a;-5;+3,5;-x", b'"a;-5;+3,5;\'-x"'),
        ("a;b=1;c-d", b'"a;b=1;c-d"'),
        (b"\xff", b"\xff"),
        ("", b""),
    ],
)
def test_a_cell_is_written_as_text_or_number(cell: str | bytes | int, written: bytes) -> None:
    assert csv_line([cell]) == written + b"\r\n"


@given(
    cells=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0", max_codepoint=0x10FEFF), max_size=8),
        min_size=1,
        max_size=4,
    )
)
def test_cells_are_read_back_except_for_the_apostrophe(cells: list[str]) -> None:
    (row,) = csv.reader(io.StringIO("x," + csv_line(cells).decode(), newline=""))
    assert [without_apostrophes(found.encode()) for found in row[1:]] == [cell.encode() for cell in cells]


@given(
    cells=st.lists(st.text(st.sampled_from("=+-@＝;\t\r\n\"', a1"), max_size=10), min_size=1, max_size=3),
    separator=st.sampled_from(";\t"),
)
def test_no_cell_is_a_formula_with_other_separators_or_ignored_quotes(cells: list[str], separator: str) -> None:
    for found in re.split(rf"[{separator}\r\n]", csv_line(cells).decode()):
        bare = found.lstrip(' "')
        number = r"[+-][0-9]+([.,]-?[0-9]+)*"  # or several, whose separator is another one
        is_text = re.match(rf'{number},?"', bare)
        assert not bare.startswith(tuple("=+-@＝")) or is_text or re.fullmatch(number, bare)


def test_a_number_at_the_start_of_a_line_forms_no_formula_with_the_rest() -> None:
    assert csv_line(["-3", "5+cmd|' /C calc'!A0", -4, "x"]) == b'-3,"5+cmd|\' /C calc\'!A0",-4,"x"\r\n'


@given(
    cell=st.sampled_from("=+-@\t\r＝＋－＠").flatmap(lambda first: st.text(max_size=6).map(lambda rest: first + rest))
)
def test_no_cell_begins_like_a_formula_unless_it_is_a_number(cell: str) -> None:
    written = csv_line([cell]).decode("utf-8", "replace").strip('"\r\n')
    assert written.startswith("'") or written[1:].replace(",", "").replace(".", "").isdigit()
