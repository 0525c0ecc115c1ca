"""CSV for spreadsheets: what could run as a formula is text, numbers stay numbers, and everything is read back."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.report.spreadsheet import csv_line


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", b"'=1+1"),
        ("+cmd|' /C calc'!A0", b"'+cmd|' /C calc'!A0"),
        ("-2+3", b"'-2+3"),
        ("@SUM(A1)", b"'@SUM(A1)"),
        ("\t=1", b'"\'\t=1"'),
        ("＝1+1", "'＝1+1".encode()),
        ("-3", b"-3"),
        ("+5", b"+5"),
        ("-12.50", b"-12.50"),
        ("12,5", b'"12,5"'),
        (7, b"7"),
        ("a=b", b"a=b"),
        ('say "x", y', b'"say ""x"", y"'),
        (" x", b'" x"'),
        (b"\xff", b"\xff"),
        ("", b""),
    ],
)
def test_a_cell_is_written_as_text_or_number(cell: str | bytes | int, written: bytes) -> None:
    assert csv_line([cell]) == written + b"\r\n"


@given(
    cells=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), min_size=1, max_size=4)
)
def test_cells_are_read_back_but_for_the_apostrophe(cells: list[str]) -> None:
    (row,) = csv.reader(io.StringIO("x," + csv_line(cells).decode(), newline=""))
    assert all(found in (cell, f"'{cell}") for found, cell in zip(row[1:], cells, strict=True))


@given(
    cell=st.sampled_from("=+-@\t\r＝＋－＠").flatmap(lambda first: st.text(max_size=6).map(lambda rest: first + rest))
)
def test_no_cell_begins_like_a_formula_unless_it_is_a_number(cell: str) -> None:
    written = csv_line([cell]).decode("utf-8", "replace").strip('"\r\n')
    assert written.startswith("'") or written[1:].replace(",", "").replace(".", "").isdigit()
