"""Client hints fill in what browsers have frozen in their User-Agent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.geo.geo_base import FixedPlace
from clickloop.click.page.page_report import Hints
from clickloop.click.visitor import Visitors

CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0"
ANDROID = f"Mozilla/5.0 (Linux; Android 10; K) {CHROME} Mobile Safari/537.36".encode()
WINDOWS = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36".encode()
MAC = f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {CHROME} Safari/537.36".encode()


VISITORS = Visitors(FixedPlace())


@pytest.mark.parametrize(
    ("useragent", "hints", "expected"),
    [
        (ANDROID, Hints("SM-A546B", "Android", "14.0.0", True), ("Samsung", "SM-A546B", "14")),
        (ANDROID, Hints("", "Android", "15.1.0", True), ("", "", "15.1")),
        (ANDROID, Hints("SM-A546B", "Android", "", True), ("Samsung", "SM-A546B", "")),
        (ANDROID, None, ("", "", "")),
        (WINDOWS, Hints("", "Windows", "15.0.0"), ("", "", "11")),
        (WINDOWS, Hints("", "Windows", "10.0.0"), ("", "", "10")),
        (WINDOWS, Hints("", "Windows", "0.3.0"), ("", "", "")),
        (MAC, Hints("", "macOS", "15.3.1"), ("Apple", "Mac", "15.3")),
        (MAC, Hints("\0<script>", "macOS", "x.y"), ("Apple", "Mac", "")),
    ],
)
def test_hints_tell_the_model_and_the_systems_version(
    useragent: bytes, hints: Hints | None, expected: tuple[str, str, str]
) -> None:
    found = VISITORS.hinted_device_of(useragent, hints)
    assert (found.device.brand, found.device.model, found.device.os_version) == expected
    assert found.useragent == useragent.decode()


@given(st.text(max_size=100), st.text(max_size=100))
def test_no_hint_breaks_reading(model: str, version: str) -> None:
    for useragent in (ANDROID, WINDOWS, MAC):
        found = VISITORS.hinted_device_of(useragent, Hints(model, "", version))
        assert b"\\u0000" not in found.json
