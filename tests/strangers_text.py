"""Every parser of untrusted text, as a function of the text: from visitors, networks, receivers, and clients of public forms."""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException

from clickloop.alarm.alarms import Alarm
from clickloop.click.click import Click
from clickloop.click.client_hints import hinted
from clickloop.click.geo.geo_base import FixedPlace
from clickloop.click.geo.included import IncludedCountries
from clickloop.click.link import mended_link, tail_of
from clickloop.click.page.landing_click import (
    button_of,
    click_id_in_referrer,
    read_page_query,
    without_own_parameters,
)
from clickloop.click.page.page_report import Hints, PageReport, UnreadableReportError, image_report, read_report
from clickloop.click.passed_query import with_passed_query
from clickloop.click.query import read_query
from clickloop.click.redirect import cookie_value
from clickloop.click.redirect_mode import SecondHops
from clickloop.click.routing.conditions import ready_condition
from clickloop.click.routing.visitor_values import click_value_of
from clickloop.click.screening import screen
from clickloop.click.trial_mark import is_test
from clickloop.click.visitor import Visitors
from clickloop.click.visitor_cookie import VisitorCookies
from clickloop.click_id import ClickIds
from clickloop.config import proxy_networks
from clickloop.conversion.condensed import condensed
from clickloop.conversion.conversion_input import ConversionInput, raw_notice_of
from clickloop.conversion.mending import mended_click_id
from clickloop.conversion.moment import read_moment
from clickloop.conversion.multipart_body import boundary_of as boundary_of_notice
from clickloop.conversion.multipart_body import form_fields, header_parameters
from clickloop.conversion.network_words import network_word_faults
from clickloop.conversion.notice import Channel, RawNotice, quick_verdict, read_notice
from clickloop.conversion.pairs import read_pairs
from clickloop.conversion.parameter_meaning import interpreted_parameters, sent_tokens
from clickloop.conversion.reported import ConversionReport
from clickloop.conversion.status import word_key
from clickloop.conversion.upload.cells import without_apostrophes, without_text_quotes
from clickloop.conversion.upload.columns import column_name, read_columns
from clickloop.conversion.upload.dates import proven_order
from clickloop.conversion.upload.lines import UploadFormat, UploadLayout, detect, lines_of
from clickloop.conversion.upload.text import Utf8Decoder
from clickloop.diagnosis.check.records import looks_like_a_macro
from clickloop.diagnosis.trace.text import one_line
from clickloop.edge.content_encoding import decoded
from clickloop.edge.header_fields import field_of
from clickloop.edge.message import escaped_request_line, without_fragment
from clickloop.edge.proxies import client_behind, first_of, host_of
from clickloop.edge.untrusted_proxy import UntrustedProxies
from clickloop.macro import EncodingContext, unreplaced_macro
from clickloop.macro.checking import check
from clickloop.macro.parameter_name import intended_name
from clickloop.macro.shape import shape_issues
from clickloop.macro.template import parse
from clickloop.money import currency_of, read_amount
from clickloop.pasting import trimmed
from clickloop.pattern import matches
from clickloop.people.devices import Devices
from clickloop.postback.curl import curl_command
from clickloop.postback.masking import masked_header, masked_text, masked_value
from clickloop.postback.retry import retry_after_ms
from clickloop.postback.rule import BodyKind, Header, Method, PostbackRequest
from clickloop.postback.secret_names import is_secret_name
from clickloop.postback.sending.answer_recovery import TolerantProtocol
from clickloop.postback.sending.client import Hop, first_hop, next_hop
from clickloop.postback.sending.target import RequestTarget, escaped_url, target_of
from clickloop.report.rate_text import read_day, read_rate, read_rate_lines
from clickloop.report.spreadsheet import csv_line
from clickloop.setup.condition import Condition, Operator
from clickloop.setup.fault import InvalidInputError
from clickloop.setup.own_link import OwnLinks
from clickloop.setup.redirect import PassQuery
from clickloop.store.unknown_links import UnknownLinkCounter
from clickloop.text import escape_bytes, readable, unescape_bytes
from clickloop.web.api.body import read_partly
from clickloop.web.browser import browser_of
from clickloop.web.cookies import cookie_of
from clickloop.web.panel.frame.durations import read_durations
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.frame.form_body import boundary_of, read_form
from clickloop.web.panel.routing.flow_editing import submitted_flow

CLICK_IDS = ClickIds(b"k" * 32)
HOP = Hop(Method.GET, RequestTarget("https", "a.example", 443, "/", ""), (), b"")


VISITORS = Visitors(FixedPlace())
VISITOR_COOKIES = VisitorCookies(b"k" * 32)
SECOND_HOPS = SecondHops(b"k" * 32)
CONDITIONS = [
    ready_condition(Condition(field=field, op=op, values=values))
    for field, op, values in (
        ("os_version", Operator.BETWEEN, ("1", "2")),
        ("asn", Operator.BETWEEN, ("1", "2")),
        ("ip", Operator.IN, ("10.0.0.0/8",)),
        ("language", Operator.IN, ("en",)),
        ("useragent", Operator.MATCHES, ("(a+)+$",)),
        ("useragent", Operator.CONTAINS, tuple(f"bot{number}" for number in range(100))),
        ("query.x", Operator.STARTS_WITH, ("abc", "abcd")),
    )
]
INCLUDED = IncludedCountries()
OWN_LINKS = OwnLinks(["go.example", "127.0.0.1:8080"])
DEVICES = Devices(b"k" * 32)
PROXIES = proxy_networks("127.0.0.0/8")
UNTRUSTED = UntrustedProxies("public")
FOLDER = Path("/nonexistent")
UNKNOWN_LINKS = UnknownLinkCounter(FOLDER, "tests", 0)


def _notice(query: str = "", body: str = "", content_type: str = "") -> RawNotice:
    return RawNotice(
        notice_id="n", at=1_772_366_400_000, channel=Channel.S2S, query=query, body=body, content_type=content_type
    )


def _read_notice(raw: RawNotice) -> None:
    quick_verdict(read_notice(raw), CLICK_IDS)
    interpreted_parameters(raw)


def _upload(text: str) -> None:
    """As an uploaded file: as it is, and behind a header and a click id so that its lines are read."""
    octets = escape_bytes(text.encode()).encode()
    utf8 = Utf8Decoder()
    utf8.take(octets)
    utf8.end()
    detect(octets[:65_536])
    for head in ("clickid,payout,status\n", "01m8n2w0ywcmkyef1xwqnkh44n:1:sale\n"):
        layout = detect(head.encode())
        assert isinstance(layout, UploadLayout)
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
    form.redisplay_values(ConversionReport)
    form.read_partly(ConversionReport)


def _flow_form(text: str) -> None:
    """As the fields and the button of the form of a flow."""
    at = "rules[0].conditions[0]"
    for field in ("country", "v1", "schedule", "query."):
        pairs = [(f"{at}.field", field), *((f"{at}.{name}", text) for name in ("op", "values", "hours", "zone"))]
        submitted_flow(Form([*pairs, ("do", text)]))
    submitted_flow(Form([("do", f"remove:rules[{text}")]))
    try:
        submitted_flow(Form([("rules[0].packed", f'{{"name": "{text}"}}')]))
    except HTTPException:
        return


def _boundary(text: str) -> None:
    try:
        boundary_of(f"multipart/form-data; {text}")
    except HTTPException:
        return


def _sent(text: str) -> None:
    """As the values in a request that is to leave, and as a command to be copied."""
    request = PostbackRequest(
        url=f"https://a.example/?a={text}", headers=(Header("X-A", text),), body_kind=BodyKind.JSON, body=text
    )
    first_hop(request)
    first_hop(msgspec.structs.replace(request, url="https://a.example/"))
    curl_command(request)


def _rendered(text: str) -> None:
    """As a macro's value, through every filter and into every place."""
    for macro in ("{v1}", "{v1|round:2|format:%Y|map:a=1|cut:50}"):
        template = parse(f'{{"a": "{macro}", "b": {macro}}}')
        for place in (EncodingContext.URL, EncodingContext.JSON, EncodingContext.HEADER):
            template.render({"token1": text}, place)


def _durations(text: str) -> None:
    try:
        read_durations(text)
    except ValueError:
        return


def _decompressed(body: bytes, encoding: bytes) -> None:
    try:
        decoded(body, encoding, 256 * 1024)
    except ValueError:
        return


def _answered(head: str) -> None:
    """As the answer of a receiver that the client's parser gives up on, in the pieces in which a socket brings it."""
    loop = asyncio.new_event_loop()
    try:
        protocol = TolerantProtocol(loop=loop)
        protocol.set_response_params()
        octets = head.encode()
        for at in range(0, len(octets), 8_192):
            protocol.data_received(octets[at : at + 8_192])
        protocol.connection_lost(None)
        exception = protocol.exception()
        assert exception is None or isinstance(exception, Exception)
    finally:
        loop.close()


def _browser(text: str) -> None:
    """As what a proxy tells the panel of a browser."""
    octets = text.encode()
    names = (b"host", b"x-forwarded-for", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"user-agent")
    scope: Any = {
        "type": "http",
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "headers": [(name, octets) for name in names],
    }
    browser_of(ASGIConnection(scope), PROXIES)


def _cookie(text: str) -> None:
    """As what a browser sends to the panel."""
    scope: Any = {"type": "http", "headers": [(b"cookie", text.encode())]}
    cookie_of(ASGIConnection(scope), "clickloop_session")


def _request(text: str) -> None:
    """As the fields of a request that reaches the public port."""
    octets = text.encode()
    field_of(octets)
    first_of(octets)
    host_of(octets)
    client_behind(octets, "127.0.0.1", lambda _: True)


def _report(text: str) -> None:
    """As the body of a page's report."""
    with suppress(UnreadableReportError):
        read_report(text.encode())


READERS: dict[str, Callable[[str], object]] = {
    "click query": lambda text: read_query(
        text.encode("ascii", "replace"), {"external_id": "external_id", "token": "v1"}, "external_id"
    ),
    "test mark": lambda text: is_test(CLICK_IDS, b"aB3xY9", f"clickloop_test={text}".encode(), 0),
    "cookie": lambda text: cookie_value(text.encode()),
    "click URL": lambda text: read_page_query(text.encode("ascii", "replace")),
    "click URL's event": lambda text: read_page_query(f"event1={text}".encode("ascii", "replace")),
    "click URL's button": lambda text: button_of(f"/{text}".encode()),
    "click URL that is passed on": lambda text: without_own_parameters(text.encode("ascii", "replace")),
    "referrer": lambda text: click_id_in_referrer(f"https://a.example/?{text}".encode()),
    "page's report": _report,
    "page's report with a long URL": lambda text: _report(f'{{"url": "{text}"}}'),
    "client hints": lambda text: hinted(f"Mozilla/5.0 (Linux; Android 10; K) {text}", Hints(text, "", text)),
    "page's image": lambda text: image_report(text.encode("ascii", "replace"), text.encode(), ""),
    "query of a page's URL": lambda text: PageReport(url=f"https://a.example/?{text}").query,
    "visitor cookie": lambda text: VISITOR_COOKIES.read(f"1{text}"),
    "second hop": lambda text: SECOND_HOPS.location(text, 0),
    "passed query": lambda text: with_passed_query("https://o.example/?a=1#b", text.encode(), PassQuery.ALL),
    "conditions": lambda text: [condition.holds(text) for condition in CONDITIONS],
    "query of a recorded click": lambda text: click_value_of(
        Click(click_id="", at=0, campaign_id=1, source_id=1, query=text), "query.token"
    ),
    "purpose": lambda text: screen(b"GET", text.encode(), None),
    "user agent": lambda text: VISITORS.device_of(text.encode()),
    "language": lambda text: VISITORS.language_of(text.encode()),
    "request line": lambda text: escaped_request_line(f"GET /é{text} HTTP/1.1\r\n".encode()),
    "click ID": lambda text: CLICK_IDS.read(text),
    "mended click ID": lambda text: mended_click_id(f"01kjmm87x09z14xzr1jgrhd1sd{text}"),
    "mended click ID behind a quote": lambda text: mended_click_id(f'"{text}'),
    "click ID with parameters": lambda text: _read_notice(_notice(query=f"cid=01kjmm87x09z14xzr1jgrhd1sd?{text}")),
    "query encoded as a whole": lambda text: _read_notice(_notice(query=f"cid%3d{text.replace('=', '')}")),
    "notice that is condensed": lambda text: condensed(_notice(query=text, body=text)),
    "notice query": lambda text: _read_notice(_notice(query=text)),
    "notice form": lambda text: _read_notice(_notice(body=text)),
    "notice JSON": lambda text: _read_notice(_notice(body="{" + text, content_type="application/json")),
    "notice JSON value": lambda text: _read_notice(_notice(body=f'{{"payout": "{text}"}}')),
    "notice JSON that is mended": lambda text: _read_notice(_notice(body=f"{{{text}}}")),
    "notice JSON with a value to be mended": lambda text: _read_notice(_notice(body=f'{{"cid":"C","a":{text},"b":,}}')),
    "notice JSON read leniently": lambda text: _read_notice(_notice(body=f'{{"a": "\\ud800", {text}: "{text}"}}')),
    "notice multipart": lambda text: _read_notice(
        _notice(body=f"--b\r\n{text}", content_type='multipart/form-data; boundary="b"')
    ),
    "content type": lambda text: read_pairs(b"", b"a=b", f"multipart/form-data; {text}"),
    "moment": lambda text: read_moment(text, 1_772_366_400_000),
    "dates of a table": lambda text: proven_order(
        UploadLayout(UploadFormat.CSV, ("cid", "at"), 2, 7), [text.encode()], 1_772_366_400_000
    ),
    "moment behind a date": lambda text: read_moment(f"2026-03-01{text}", 1_772_366_400_000),
    "amount": read_amount,
    "amount behind a digit": lambda text: read_amount(f"1{text}"),
    "currency": currency_of,
    "status word": word_key,
    "unreplaced macro": unreplaced_macro,
    "unreplaced macro in braces": lambda text: unreplaced_macro(f"{{{text}"),
    "octets": lambda text: readable(escape_bytes(unescape_bytes(text))),
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
    "flow form": _flow_form,
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
    "mended link": lambda text: mended_link(b"aB3xY9" + text.encode(), text.encode()),
    "end of a link": lambda text: tail_of(text.encode()),
    "name of a parameter": intended_name,
    "fragment": lambda text: without_fragment(text.encode()),
    "unknown link": lambda text: UNKNOWN_LINKS.note(text.encode(), 0),
    "own link": lambda text: OWN_LINKS.key_in(f"https://{text}"),
    "own link's path": lambda text: OWN_LINKS.key_in(f"https://go.example/{text}"),
    "multipart fields": lambda text: list(form_fields(text.encode(), b"b")),
    "multipart within multipart": lambda text: list(
        form_fields(f"--b\r\nContent-Type: multipart/mixed; boundary=-\r\n\r\n{text}".encode(), b"b")
    ),
    "header parameters": lambda text: header_parameters(f"form-data; {text}".encode()),
    "boundary of a notice": lambda text: boundary_of_notice(f"multipart/form-data; {text}".encode(), text.encode()),
    "forwarded headers": _request,
    "browser": _browser,
    "panel cookie": lambda text: _cookie(text),
    "value of a panel cookie": lambda text: _cookie(f'clickloop_session="{text}"'),
    "country": lambda text: INCLUDED.country(text),
    "device": lambda text: DEVICES.id_of(text),
    "peer": lambda text: UNTRUSTED.note(text),
    "a chain of proxies": lambda text: UNTRUSTED.note_trusted("127.0.0.1", unescape_bytes(text), "203.0.113.9"),
    "content encoding": lambda text: _decompressed(b"a", text.encode()),
    "plain body said to be compressed": lambda text: _decompressed(text.encode(), b"deflate"),
    "gzip body": lambda text: _decompressed(gzip.compress(text.encode(), 1), b"gzip"),
    "deflate body": lambda text: _decompressed(zlib.compress(text.encode(), 1), b"deflate"),
    "gzip bodies in one": lambda text: _decompressed(gzip.compress(b"a") * (len(text.encode()) // 21), b"gzip"),
    "answer's head": lambda text: _answered(f"HTTP/1.1 200 OK\r\nbad name: 1\r\n{text}"),
    "answer's header": lambda text: _answered(f"HTTP/1.1 302 Found\r\nLocation: {text}\r\nbad name: 1\r\n\r\n"),
    "answer in chunks": lambda text: _answered(
        f"HTTP/1.1 200 OK\r\nbad name: 1\r\nTransfer-Encoding: chunked\r\n\r\n{text}"
    ),
    "answer behind interim ones": lambda text: _answered(f"HTTP/1.1 103 Hints\r\n\r\n{text}HTTP/1.1 200 OK\r\na b: c"),
    "columns": lambda text: read_columns(text.split(",")),
    "column": column_name,
    "cell": lambda text: without_text_quotes(text.encode()),
    "pasted": trimmed,
    "shape of an address": lambda text: list(shape_issues(text, EncodingContext.URL)),
    "shape behind a query": lambda text: list(shape_issues(f"https://a.example/?a={text}", EncodingContext.URL)),
    "shape behind a fragment": lambda text: list(shape_issues(f"https://a.example/#{text}", EncodingContext.URL)),
    "shape of a form": lambda text: list(shape_issues(text, EncodingContext.FORM)),
    "token to be masked": lambda text: sent_tokens(_notice(query=f"token={text.replace('&', '')}")),
    "alarm": lambda text: Alarm(code="a", sentence=text).key,
    "network's words": lambda text: network_word_faults(dict.fromkeys(text.split(","), "sale"), {"sale"}),
    "stated conversion": lambda text: raw_notice_of(ConversionInput(click_id=text, payout=text), Channel.S2S, "n", 0),
}
