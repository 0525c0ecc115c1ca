"""Parsing untrusted text takes time in proportion to its length: 256 KB of anything far less than 64 times as long as 16 KB.

Every module that uses Python's ``re``, which backtracks, is listed here: with the functions that are measured, or with the reason
why no stranger's text reaches it unbounded.
"""

import ast
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import clickloop
from tests import strangers_text
from tests.strangers_text import READERS

SMALL, LARGE, FACTOR = 16 * 1024, 256 * 1024, 64
"""Linear time is 16 times as long, quadratic time 256 times: a busy machine is never four times slower in one of both only."""
FLOOR_SECONDS = 0.00125
"""Minimum time assumed for the small text. Below it, timer resolution and other load would decide."""

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


def _repeated(token: str, size: int) -> str:
    return token * (size // len(token.encode()))


@pytest.mark.parametrize("name", READERS)
def test_a_reader_of_strangers_text_takes_linear_time(name: str) -> None:
    reader = READERS[name]
    slow = []
    for token in dict.fromkeys(TOKENS):
        large = _cost(reader, _repeated(token, LARGE), 1)
        if large <= FACTOR * FLOOR_SECONDS:
            continue
        small = max(_cost(reader, _repeated(token, SMALL), 3), FLOOR_SECONDS)
        if large > FACTOR * small:  # other work of the machine may have come between
            small = max(_cost(reader, _repeated(token, SMALL), 5), FLOOR_SECONDS)
            large = _cost(reader, _repeated(token, LARGE), 3)
        if large > FACTOR * small:
            slow.append((token, small, large))
    assert slow == []


def test_the_measure_finds_a_reader_that_takes_quadratic_time() -> None:
    def quadratic(text: str) -> None:
        for at in range(0, len(text), 16):
            text.count("b", at)

    small = max(_cost(quadratic, _repeated("a", SMALL), 5), FLOOR_SECONDS)
    assert _cost(quadratic, _repeated("a", LARGE), 1) > FACTOR * small


MEASURED = """
text money pasting alarm.alarms setup.own_link click.trial_mark conversion.mending conversion.moment conversion.upload.lines
conversion.upload.columns macro.filters macro.encoding_context macro.unreplaced macro.checking macro.template macro.shape
postback.sending.client postback.sending.target postback.retry postback.curl postback.sending.answer_recovery
report.rate_text report.spreadsheet diagnosis.trace.text postback.masking postback.secret_names
diagnosis.check.records store.unknown_links conversion.lenient_json conversion.mended_json web.panel.frame.form
web.panel.frame.form_body web.panel.frame.durations web.panel.routing.flow_steps conversion.upload.cells
"""
"""Modules with Python's ``re`` whose readers are above."""
NO_STRANGERS = {
    "report.column": "a figure's name of two digits at most, by a pattern of a fixed length",
    "report.condition": "a user's text of at most 1,000 characters, split at one word",
    "report.filter_input": "a user's filters of at most 1,300 characters, by patterns without repeats of repeats",
    "report.query_input": "days of a fixed length",
    "report.cost.span": "a user's days and times, by patterns of a fixed length",
    "report.cost.table": "a user's headers, one class of characters, and hours of a fixed length",
    "setup.cost_rule": "keys of statuses, at most 32 characters, one class of characters",
    "click.place": "codes in a base of the operator's, by patterns of a fixed length",
    "setup.condition": "values of the set-up, at most 1,000 characters, by patterns of a fixed length",
    "backup.archive": "names in an archive of the operator's, at most 100 characters, one class of characters",
    "setup.web_address": "addresses of the set-up, at most 8,192 characters",
    "setup.instance": "names of domains in the settings, cut by the pattern itself",
    "setup.fault": "one class of characters, on the set-up's texts",
    "setup.campaign": "one class of characters, and patterns of a fixed length, on the set-up's texts",
    "demo.page_traffic": "pages of the demo's own servers",
    "conversion.status_change": "a pattern of at most 32 characters",
    "click.geo.fetching": "a version of a package, its end by a pattern of a fixed length",
    "click.geo.files": "a setting of the operator's, one class of characters",
    "click.geo.included": "the first 4,096 bytes of a package's file",
    "config": "the operator's settings",
    "web.api.versions": "a header of at most 1,000 characters",
    "web.api.description": "our own document",
    "web.api.setup.rates": "a cursor, by a pattern of at most ten characters",
    "web.panel.setup.rates": "the path of a fault, which we write",
    "web.panel.frame.flash": "names of at most 40 letters, by one class of characters",
    "web.panel.frame.form_draft": "names of fields of at most 200 characters; a path against our routes, by segments",
    "web.panel.frame.field_names": "the path of a fault, at most 200 characters for each name in it",
    "web.panel.frame.page": "sentences of alarm.alarms, at most 1,000 characters",
    "web.panel.logs.log_page": "a key of at most 40 characters",
    "postback.checking": "classes of characters, on the set-up's texts",
    "postback.values": "the address of a rule, one class of characters",
    "web.panel.setup.marks": "names of our own fields, one class of digits",
    "store.journal.segment": "the end of a line of ours",
    "store.ledger.logs.audit_log": "names of our own fields",
}
"""Modules with Python's ``re`` that no untrusted text of unlimited length reaches, and why."""


FOLDERS = (
    "click",
    "click/geo",
    "click/marks",
    "click/page",
    "click/routing",
    "conversion",
    "conversion/upload",
    "edge",
    "people",
    "web",
)
"""Folders that parse untrusted text, with ``re`` or without."""
READING = """
click.routing.conditions click.passed_query click.redirect_mode click.visitor_cookie click.page.landing_click click.page.page_report
click.client_hints click.link click.query click.redirect click.screening click.trial_mark click.useragent click.visitor
click.routing.visitor_values click.geo.included
click.marks.bot_useragent click.marks.request_marks click.marks.spoken_languages
conversion.condensed conversion.conversion_input conversion.lenient_json conversion.mended_json conversion.mending
conversion.moment conversion.multipart_body conversion.network_words conversion.notice conversion.pairs
conversion.status conversion.parameter_meaning conversion.upload.lines conversion.upload.cells conversion.upload.columns
conversion.upload.dates conversion.upload.table conversion.upload.text web.browser web.cookies edge.content_encoding
people.devices edge.header_fields edge.message edge.proxies edge.untrusted_proxy
"""
"""Modules of these folders whose readers are among those that are measured."""
NOT_READING = {
    "click.click": "the record alone",
    "click.page.carried_values": "takes what was read",
    "click.marks.campaign_marks": "the set-up",
    "click.marks.datacenters": "looks up a number of a base of the operator's",
    "click.marks.landing_views": "compares numbers",
    "click.marks.late_marks": "compares numbers",
    "click.marks.lists_in_use": "the set-up",
    "click.marks.mark_correction": "records alone",
    "click.marks.marked_click": "records alone",
    "click.marks.rate_tally": "hashes texts that were read, once each; its memory is bounded",
    "click.visitor_hash": "hashes an address and a header, both bounded, once",
    "click.click_json": "writes JSON",
    "click.page.landing_paths": "the set-up",
    "click.page.buttons": "ids of the set-up alone",
    "click.page.recent_visits": "a dictionary's look-up",
    "click.click_values": "takes what was read",
    "click.click_log": "filters of the API, each of bounded length",
    "click.country": "names of countries by two letters",
    "click.routing.arriving_visitor": "takes what was read",
    "click.routing.destination": "templates of the set-up; values are filled in by ``macro``",
    "click.page.page_event": "the record alone",
    "edge.redirects": "puts the readers together",
    "click.continent": "continents by two letters",
    "click.geo.asn_table": "a table that an operator fetches; its package is of bounded size",
    "click.geo.fetching": "a package that an operator fetches, of bounded size",
    "click.geo.free_base": "the records alone",
    "click.geo.attribution": "words in names of files",
    "click.geo.check": "files of the operator's",
    "click.geo.files": "files of the operator's",
    "click.geo.geo_base": "the protocol alone",
    "click.geo.merged": "puts bases together; one takes an address, see click.geo.included",
    "click.geo.mmdb": "maxminddb reads, an address bit by bit",
    "click.geo.mmdb_writer": "writes",
    "click.geo.region": "names of at most 100 characters in a base of the operator's",
    "click.routing.not_served": "the records alone",
    "click.routing.recall": "ids of a signed cookie of bounded length, or of a click; at most 30 of each kind",
    "click.routing.shown": "ids of the set-up",
    "click.routing.route": "compares values by click.routing.conditions",
    "click.routing.visitor_route": "takes what was read; parameters that conditions compare are encoded once",
    "click.visitor_memory": "a signed cookie of bounded length",
    "click.routing.flow": "compares values by click.routing.conditions",
    "click.place": "records of a base of the operator's",
    "click.routing.routes": "a dictionary's look-up; addresses are the set-up's, see setup.own_link",
    "click.useragent_words": "words alone",
    "conversion.attribution": "compares what was read",
    "conversion.landing_click": "compares what was read with at most 200 landing clicks",
    "conversion.arrival_order": "ids of our own",
    "conversion.payout": "reads an amount, which ``money`` bounds",
    "conversion.conversion": "the record alone",
    "conversion.conversion_log": "filters of the API, each of bounded length",
    "conversion.reported": "looks at each text once; how many there are is bounded by the size of a body",
    "conversion.notice_log": "filters of the API, each of bounded length",
    "conversion.status_change": "the set-up; looks at each word once",
    "conversion.terms": "the set-up",
    "edge.backlog": "queues; what is in them is counted",
    "edge.burst": "a list of answers",
    "edge.endpoints": "puts the readers together; held by tests of the public port with requests of every size",
    "edge.page_endpoints": "puts the readers together; a path that is mended is read by click.link",
    "edge.process": "starts",
    "edge.vitals": "our own files",
    "edge.http": "httptools reads; sizes are held by tests of the public port",
    "web.long_work": "threads",
    "edge.open_connections": "counts",
    "web.panel_port": "httptools reads; sizes are held by tests of the panel's port",
    "people.browser": "the record alone",
    "people.user": "of a password its first 72 characters",
    "people.password_threads": "threads",
    "people.passwords": "Argon2, of a password of bounded length",
    "web.page_cache": "a dictionary's look-up",
    "edge.request_limits": "limits alone",
    "edge.request_reader": "httptools reads; sizes are held by tests of the public port",
    "people.sign_in_limits": "counts by address and name",
    "web.site": "puts the applications together",
}
"""Modules of these folders that parse no untrusted text themselves, and why their work is bounded by its length."""


def test_every_module_where_strangers_text_arrives_is_measured_or_says_why_not() -> None:
    root = Path(clickloop.__file__).parent
    there = {f"{folder.replace('/', '.')}.{path.stem}" for folder in FOLDERS for path in (root / folder).glob("*.py")}
    there = {name for name in there if not name.endswith("__init__")}
    reading = set(READING.split())
    assert there - reading - NOT_READING.keys() == set(), (
        "measure what it reads in tests/strangers_text.py, or excuse it"
    )
    assert (reading | NOT_READING.keys()) - there == set()
    assert reading.isdisjoint(NOT_READING)


def test_every_module_that_is_said_to_be_measured_is_used_by_a_reader() -> None:
    root = Path(clickloop.__file__).parent
    used: set[str] = set()
    waiting = [Path(strangers_text.__file__)]
    while waiting:
        for node in ast.walk(ast.parse(waiting.pop().read_text())):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("clickloop"):
                continue
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                path = root / Path(*str(name).split(".")[1:])
                path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
                module = str(name).removeprefix("clickloop").lstrip(".")
                if path.is_file() and module not in used:
                    used.add(module)
                    waiting.append(path)
    assert {*MEASURED.split(), *READING.split()} - used == set()


def test_every_module_that_uses_regular_expressions_is_measured_or_says_why_not() -> None:
    root = Path(clickloop.__file__).parent
    using = set()
    for path in root.rglob("*.py"):
        text = path.read_text()
        if not re.search(r"\bre\b", text):  # parsing takes long
            continue
        nodes = list(ast.walk(ast.parse(text)))
        imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        if "re" in imported:
            using.add(".".join(path.relative_to(root).with_suffix("").parts))
    measured = set(MEASURED.split())
    assert using - measured - NO_STRANGERS.keys() == set()
    assert (measured | NO_STRANGERS.keys()) - using == set()
    assert measured.isdisjoint(NO_STRANGERS)
