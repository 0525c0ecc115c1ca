"""Reading what strangers send takes time in proportion to its length: 256 KB of anything at most 20 times what 16 KB take.

Every module that uses Python's ``re``, which backtracks, is listed here: with the functions that are measured, or with the reason
why no stranger's text reaches it unbounded.
"""

import ast
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from litestar.exceptions import HTTPException

import clickloop
from clickloop.campaign.fault import InvalidInputError
from clickloop.click.query import read_query
from clickloop.click.redirect import cookie_value
from clickloop.click.screening import screen
from clickloop.click.test_mark import is_test
from clickloop.click.visitor import Visitors
from clickloop.click_id import ClickIds
from clickloop.conversion.moment import read_moment
from clickloop.conversion.notice import Door, RawNotice, quick_verdict, read_notice
from clickloop.conversion.pairs import read_pairs
from clickloop.conversion.status import word_key
from clickloop.conversion.understanding import understood
from clickloop.conversion.upload import Layout, detect, lines_of, without_apostrophes
from clickloop.conversion.upload_text import Utf8
from clickloop.macro import Place, unreplaced_macro
from clickloop.macro.checking import check
from clickloop.macro.template import parse
from clickloop.money import currency_of, read_amount
from clickloop.octets import octets_of, readable, text_of
from clickloop.postback.curl import curl_command
from clickloop.postback.pattern import matches
from clickloop.postback.retry import retry_after_ms
from clickloop.postback.rule import BodyKind, Header, Method, Request
from clickloop.postback.sending import Hop, first_hop, next_hop
from clickloop.postback.target import Target, escaped_url, target_of
from clickloop.report.check.static import looks_like_a_macro
from clickloop.report.masking import masked_header, masked_text, masked_value
from clickloop.report.rate_text import read_day, read_rate, read_rate_lines
from clickloop.report.secret_names import is_secret_name
from clickloop.report.spreadsheet import csv_line
from clickloop.report.trace_text import one_line
from clickloop.web.api.body import read_partly
from clickloop.web.api.conversions import ConversionReport
from clickloop.web.message import escaped_request_line
from clickloop.web.panel.durations import read_durations
from clickloop.web.panel.form import Form
from clickloop.web.panel.form_body import boundary_of, read_form

SMALL, LARGE, FACTOR = 16 * 1024, 256 * 1024, 20
FLOOR_SECONDS = 0.002
"""What the small text counts for at least: below it the clock and other work of the machine decide."""

CLICK_IDS = ClickIds(b"k" * 32)
HOP = Hop(Method.GET, Target("https", "a.example", 443, "/", ""), (), b"")


class NoCountry:
    """A base that knows no address."""

    def country(self, ip: str) -> str:
        return ""


VISITORS = Visitors(NoCountry())


def _notice(query: str = "", body: str = "", content_type: str = "") -> RawNotice:
    return RawNotice(
        notice_id="n", at=1_772_366_400_000, door=Door.S2S, query=query, body=body, content_type=content_type
    )


def _read_notice(raw: RawNotice) -> None:
    quick_verdict(read_notice(raw), CLICK_IDS)
    understood(raw)


def _upload(text: str) -> None:
    """As an uploaded file: as it is, and behind a header and a click id so that its lines are read."""
    octets = text_of(text.encode()).encode()
    utf8 = Utf8()
    utf8.take(octets)
    utf8.end()
    detect(octets[:65_536])
    for head in ("clickid,payout,status\n", "01m8n2w0ywcmkyef1xwqnkh44n:1:sale\n"):
        layout = detect(head.encode())
        assert isinstance(layout, Layout)
        for _ in lines_of(layout, [octets]):
            pass


def _json_body(body: bytes) -> None:
    try:
        read_partly(body, ConversionReport)
    except (HTTPException, InvalidInputError):
        return


def _form(body: bytes, content_type: str) -> None:
    try:
        form = Form(read_form(body, content_type))
    except HTTPException:
        return
    form.shown_again(ConversionReport)
    form.read_partly(ConversionReport)


def _boundary(text: str) -> None:
    try:
        boundary_of(f"multipart/form-data; {text}")
    except HTTPException:
        return


def _sent(text: str) -> None:
    """As the values in a request that is to leave, and as a command to be copied."""
    request = Request(
        url=f"https://a.example/?a={text}", headers=(Header("X-A", text),), body_kind=BodyKind.JSON, body=text
    )
    first_hop(request)
    first_hop(msgspec.structs.replace(request, url="https://a.example/"))
    curl_command(request)


def _rendered(text: str) -> None:
    """As a macro's value, through every filter and into every place."""
    for macro in ("{v1}", "{v1|round:2|format:%Y|map:a=1|cut:50}"):
        template = parse(f'{{"a": "{macro}", "b": {macro}}}')
        for place in (Place.URL, Place.JSON, Place.HEADER):
            template.render({"token1": text}, place)


READERS: dict[str, Callable[[str], object]] = {
    "click query": lambda text: read_query(
        text.encode("ascii", "replace"), {"external_id": "external_id", "token": "v1"}, "external_id"
    ),
    "test mark": lambda text: is_test(CLICK_IDS, b"aB3xY9", f"clickloop_test={text}".encode(), 0),
    "cookie": lambda text: cookie_value(text.encode()),
    "purpose": lambda text: screen(b"GET", text.encode(), None),
    "user agent": lambda text: VISITORS.known(text.encode()),
    "language": lambda text: VISITORS.language(text.encode()),
    "request line": lambda text: escaped_request_line(f"GET /é{text} HTTP/1.1\r\n".encode()),
    "click id": lambda text: CLICK_IDS.read(text),
    "notice query": lambda text: _read_notice(_notice(query=text)),
    "notice form": lambda text: _read_notice(_notice(body=text)),
    "notice JSON": lambda text: _read_notice(_notice(body="{" + text, content_type="application/json")),
    "notice JSON value": lambda text: _read_notice(_notice(body=f'{{"payout": "{text}"}}')),
    "notice JSON read leniently": lambda text: _read_notice(_notice(body=f'{{"a": "\\ud800", {text}: "{text}"}}')),
    "notice multipart": lambda text: _read_notice(
        _notice(body=f"--b\r\n{text}", content_type='multipart/form-data; boundary="b"')
    ),
    "content type": lambda text: read_pairs(b"", b"a=b", f"multipart/form-data; {text}"),
    "moment": lambda text: read_moment(text, 1_772_366_400_000),
    "moment behind a date": lambda text: read_moment(f"2026-03-01{text}", 1_772_366_400_000),
    "amount": read_amount,
    "amount behind a digit": lambda text: read_amount(f"1{text}"),
    "currency": currency_of,
    "status word": word_key,
    "unreplaced macro": unreplaced_macro,
    "unreplaced macro in braces": lambda text: unreplaced_macro(f"{{{text}"),
    "octets": lambda text: readable(text_of(octets_of(text))),
    "upload": _upload,
    "apostrophes": lambda text: without_apostrophes(text.encode()),
    "macro value": _rendered,
    "macro template": parse,
    "macro check": check,
    "JSON body": lambda text: _json_body(text.encode()),
    "JSON string": lambda text: _json_body(f'{{"click_id": "{text}"}}'.encode()),
    "form": lambda text: _form(text.encode(), "application/x-www-form-urlencoded"),
    "form value": lambda text: _form(f"click_id={text.replace('&', '')}".encode(), "application/x-www-form-urlencoded"),
    "multipart form": lambda text: _form(f"--b\r\n{text}".encode(), "multipart/form-data; boundary=b"),
    "multipart header": lambda text: _form(
        f"--b\r\nContent-Disposition: form-data; {text}".encode(), "multipart/form-data; boundary=b"
    ),
    "boundary": _boundary,
    "answer": lambda text: matches("(ok|success)+.*error", text.encode()[: 16 * 1024]),
    "retry-after": lambda text: retry_after_ms(text, 0),
    "redirect": lambda text: next_hop(HOP, 302, text),
    "redirect path": lambda text: next_hop(HOP, 302, f"/{text}"),
    "redirect host": lambda text: next_hop(HOP, 302, f"//{text}"),
    "address": target_of,
    "escaped address": escaped_url,
    "sent request": _sent,
    "masking": masked_text,
    "masking of all": lambda text: masked_text(text, ("s3cret",), None),
    "masked value": lambda text: masked_value("a", text),
    "masked header": lambda text: masked_header("X-A", text),
    "masked name": is_secret_name,
    "spreadsheet": lambda text: csv_line([text, f"a;{text}"]),
    "one line": one_line,
    "rate": lambda text: (read_rate(text), read_day(text)),
    "rate lines": read_rate_lines,
    "durations": lambda text: _durations(text),
    "placeholder": looks_like_a_macro,
}


def _durations(text: str) -> None:
    try:
        read_durations(text)
    except ValueError:
        return


TOKENS = (
    *(
        "token",
        "a=&",
        "&",
        "=",
        "a=b&",
        "%",
        "%25",
        "%3D",
        "%zz",
        "+",
        ";",
        "; ",
        ":",
        ",",
        ".",
        "a.",
        "a.a.",
        "..",
        "../",
    ),
    *(
        "[",
        "]",
        "a[0]",
        "[a]",
        "{",
        "}",
        "{{",
        "${",
        "{a}",
        "{a|",
        "(",
        "<",
        "#",
        "##",
        "@",
        "$",
        "_",
        "__",
        "__A",
        "-",
        "--",
    ),
    *(
        '"',
        "\\",
        '\\"',
        '"a":',
        '"token":',
        '{"a":',
        '"a",',
        "'",
        "''",
        "'=",
        ";=",
        "\t",
        " ",
        "\n",
        "\r\n",
        "\r",
        " \n",
        "\0",
    ),
    *(
        "0",
        "1",
        "9",
        "1.",
        "1,",
        "1 ",
        "1'",
        "0x",
        "1e",
        "-1",
        "T",
        "2026-",
        "00:",
        "a",
        "A",
        "ab1",
        "é",
        "漢",
        "\U0010ff80",
        "😀",
    ),
    *(
        "token=",
        "&token=",
        "?token=a",
        "key=",
        "auth.",
        "passw-",
        "x-token: a\n",
        "/bot123456:",
        "/services/",
        "://a:",
        "http://",
    ),
    *(
        "clickloop=",
        "aclickloop=",
        "prefetch",
        "charset=",
        'boundary="',
        "boundary=",
        '; name="a"',
        "--b\r\n",
        "\r\n--b",
        "-",
        "Mozilla/",
    ),
    *(
        "Mobile ",
        "bot/",
        "Android ",
        "Chrome/",
        "1.1.1.1, ",
        "::1,",
        "ok",
        "error",
        "success",
        "xn--",
        "a-",
        "EUR 2026-03-01 1\n",
        "5s ",
    ),
    *(
        "%7B",
        "%7Ba",
        "[=a",
        "$5",
        "€",
        "R$ ",
        "nan",
        "inf",
        "sep=",
        "name=",
        "=1+1;",
        "a\n=",
        "01m8n2w0ywcmkyef1xwqnkh44n:",
    ),
)


def _cost(reader: Callable[[str], object], text: str, times: int) -> float:
    spent = []
    for _ in range(times):
        begun = time.process_time()
        reader(text)
        spent.append(time.process_time() - begun)
    return min(spent)


def _repeated(token: str, octets: int) -> str:
    return token * (octets // len(token.encode()))


@pytest.mark.parametrize("name", READERS)
def test_a_reader_of_strangers_text_takes_linear_time(name: str) -> None:
    reader = READERS[name]
    slow = []
    for token in dict.fromkeys(TOKENS):
        if _cost(reader, _repeated(token, LARGE), 1) <= FACTOR * FLOOR_SECONDS:
            continue
        small = max(_cost(reader, _repeated(token, SMALL), 5), FLOOR_SECONDS)
        large = _cost(reader, _repeated(token, LARGE), 3)
        if large > FACTOR * small:
            slow.append((token, small, large))
    assert slow == []


def test_the_measure_finds_a_reader_that_takes_quadratic_time() -> None:
    def quadratic(text: str) -> None:
        for at in range(0, len(text), 64):
            text.count("b", at)

    small = max(_cost(quadratic, _repeated("a", SMALL), 5), FLOOR_SECONDS)
    assert _cost(quadratic, _repeated("a", LARGE), 1) > FACTOR * small


MEASURED = """
octets money click.test_mark conversion.moment conversion.upload conversion.pairs macro.filters macro.place macro.unreplaced
macro.checking macro.template postback.sending postback.target postback.retry postback.curl report.rate_text report.spreadsheet
report.trace_text report.masking report.secret_names report.check.static web.panel.form web.panel.form_body web.panel.durations
"""
"""Modules with Python's ``re`` whose readers are above."""
NO_STRANGERS = {
    "campaign.web_address": "addresses of the set-up, at most 8,192 characters",
    "campaign.instance": "names of domains in the settings, cut by the pattern itself",
    "campaign.fault": "one class of characters, on the set-up's texts",
    "campaign.campaign": "one class of characters, and patterns of a fixed length, on the set-up's texts",
    "web.api.statuses": "a pattern of at most 32 characters",
    "web.api.description": "our own document",
    "web.api.rates": "a cursor, by a pattern of at most ten characters",
    "web.panel.rates": "the path of a fault, which we write",
    "web.panel.kept_form": "names of fields of at most 200 characters; a path against our routes, by segments",
    "web.panel.field_names": "the path of a fault, at most 200 characters for each name in it",
    "web.panel.logs": "a key of at most 40 characters",
    "postback.checking": "classes of characters, on the set-up's texts",
    "postback.values": "the address of a rule, one class of characters",
    "store.facts.duckdb": "one class of characters, on our own paths",
    "store.journal.segment": "the end of a line of ours",
    "store.ledger.changes_log": "names of our own fields",
}
"""Modules with Python's ``re`` that no stranger's text of any length reaches, and why."""


def test_every_module_that_uses_regular_expressions_is_measured_or_says_why_not() -> None:
    root = Path(clickloop.__file__).parent
    using = set()
    for path in root.rglob("*.py"):
        imported = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        } | {
            node.module
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module == "re"
        }
        if "re" in imported:
            using.add(".".join(path.relative_to(root).with_suffix("").parts))
    measured = set(MEASURED.split())
    assert using - measured - NO_STRANGERS.keys() == set()
    assert (measured | NO_STRANGERS.keys()) - using == set()
    assert measured.isdisjoint(NO_STRANGERS)
