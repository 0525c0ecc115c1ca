"""Checking a rule when it is saved: what would be sent wrong, as faults of a closed list, each with its field."""

import re
from collections.abc import Collection

import msgspec

from clickloop.explained import Explained
from clickloop.macro import FindingCode, Place, check, parse
from clickloop.pasting import INVISIBLE
from clickloop.postback.pattern import PatternError, pattern_of
from clickloop.postback.rule import BodyKind, Conditions, Header, Method, RequestTemplate, Rule, Success, Trigger
from clickloop.postback.sending.address_guard import STRICT, AddressGuard, RefusedAddress
from clickloop.postback.sending.address_ranges import Refusal
from clickloop.postback.sending.target import MAX_URL, TargetFault, target_of
from clickloop.postback.values import ready_request

MAX_NAME = 200  # it stands in lists and selects
MAX_HEADERS = 50  # servers refuse requests with more
MAX_HEADER_VALUE = 4_000  # servers refuse longer ones
MAX_BODY = 65_536  # it is stored with each postback
MAX_SUCCESS_TEXT = 1_000  # it is searched for in each answer
MAX_SECRETS = 20  # each is searched for in all that is shown
MIN_SECRET_LENGTH = 4  # a shorter one would hide parts of everything
MAX_SECRET_LENGTH = 500  # keys of receivers are shorter
MAX_EVERY_NTH = 1_000  # beyond it a share is as good as never
MAX_DELAY_SECONDS = 30 * 86_400  # what is held longer is forgotten by whoever set it
MAX_ATTEMPTS = 30  # each is a row that is kept
MAX_WAIT_SECONDS = 7 * 86_400  # a receiver that is away for longer has been given up
MAX_AMOUNT_MICROS = 10**18  # more than any amount that is read, and within 64 bits

FORBIDDEN_HEADERS = frozenset(
    (
        *("host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection"),
        *("proxy-authorization", "te", "trailer", "upgrade", "expect", "accept-encoding"),
        "x-clickloop-attempt",
    )
)
"""Headers that belong to the sender: they frame the request."""


class RuleFault(Explained):
    """What can be wrong with a rule. A closed list."""

    NAME_MISSING = "name_missing", "The rule has no name."
    NAME_TOO_LONG = "name_too_long", f"The name is longer than {MAX_NAME} characters."
    NAME_CHARACTER = (
        "name_character",
        "The name holds a control character or half a character; one line of text is expected.",
    )
    TWO_OWNERS = (
        "two_owners",
        "The rule belongs to a source and to a campaign: choose one, or neither for the whole instance.",
    )
    URL_MISSING = "url_missing", "The URL is missing."
    URL_TOO_LONG = "url_too_long", TargetFault.TOO_LONG.sentence
    URL_CHARACTER = "url_character", TargetFault.CHARACTER.sentence
    URL_SCHEME = "url_scheme", TargetFault.SCHEME.sentence
    URL_CREDENTIALS = "url_credentials", TargetFault.CREDENTIALS.sentence
    URL_HOST = "url_host", TargetFault.HOST.sentence
    URL_PORT = "url_port", TargetFault.PORT.sentence
    URL_FRAGMENT = "url_fragment", TargetFault.FRAGMENT.sentence
    URL_MACRO_IN_AUTHORITY = (
        "url_macro_in_authority",
        "A macro stands in the URL's scheme, user, host or port, where a value could redirect the request.",
    )
    URL_OWN_HOST = "url_own_host", "The URL leads to this tracker itself."
    URL_ADDRESS_REFUSED = "url_address_refused", "The URL leads to where nothing is sent unless the operator allows it."
    URL_PORT_REFUSED = (
        "url_port_refused",
        "The URL leads to a port where nothing is sent unless the operator allows it.",
    )
    HEADER_NAME = "header_name", "A header's name is empty or holds characters that a name may not hold."
    HEADER_FORBIDDEN = "header_forbidden", "A header is one that only the sender may set."
    HEADER_TWICE = "header_twice", "A header is given twice."
    HEADER_CHARACTER = "header_character", "A header's value holds a control character."
    HEADER_TOO_LONG = "header_too_long", f"A header's value is longer than {MAX_HEADER_VALUE} characters."
    TOO_MANY_HEADERS = "too_many_headers", f"There are more than {MAX_HEADERS} headers."
    BODY_TOO_LONG = "body_too_long", f"The body is longer than {MAX_BODY} characters."
    BODY_WITHOUT_KIND = "body_without_kind", "There is a body, but its kind is none: choose form, JSON or text."
    BODY_WITH_GET = "body_with_get", "A GET request carries no body: choose POST or PUT."
    BODY_NOT_JSON = "body_not_json", "The body is not valid JSON once its macros are filled in."
    STATUS_UNKNOWN = "status_unknown", "A status is not one of yours."
    MINIMUM_OUT_OF_RANGE = "minimum_out_of_range", "The minimum payout is out of range."
    EVERY_NTH_OUT_OF_RANGE = (
        "every_nth_out_of_range",
        f"The share is out of range: every 1st to every {MAX_EVERY_NTH}th.",
    )
    DELAY_OUT_OF_RANGE = "delay_out_of_range", "The delay is out of range: 0 seconds to 30 days."
    PERCENT_OUT_OF_RANGE = "percent_out_of_range", "The reported share of the payout is out of range: 0 to 100 percent."
    SUCCESS_TOO_LONG = (
        "success_too_long",
        f"A text to look for in the answer is longer than {MAX_SUCCESS_TEXT} characters.",
    )
    SUCCESS_NOT_A_PATTERN = "success_not_a_pattern", "The regular expression for the answer cannot be used."
    SECRETS_UNFIT = (
        "secrets_unfit",
        f"Secrets to hide are at most {MAX_SECRETS} texts of {MIN_SECRET_LENGTH} to {MAX_SECRET_LENGTH} characters.",
    )
    ALARM_OF_ONE = "alarm_of_one", "An alarm rule belongs to the whole instance, not to a source or campaign."
    ALARM_CONDITIONS = (
        "alarm_conditions",
        "An alarm rule is not sent for conversions: leave out statuses, minimum, share, delay and the like.",
    )
    SCHEDULE_TOO_LONG = "schedule_too_long", f"The schedule has more than {MAX_ATTEMPTS} attempts."
    SCHEDULE_OUT_OF_RANGE = "schedule_out_of_range", "A wait of the schedule is out of range: 1 second to 7 days."


class FaultFound(msgspec.Struct, frozen=True):
    """A fault and where it is: ``request.url``, ``request.headers.2.value``."""

    field: str
    fault: RuleFault
    detail: str = ""
    """The value at fault, or what is wrong with it, where that helps."""

    @property
    def sentence(self) -> str:
        """The fault for people, with its detail."""
        return f"{self.fault.sentence} Found: {self.detail}" if self.detail else self.fault.sentence


_URL_FAULTS = {fault: RuleFault[f"URL_{fault.name}"] for fault in TargetFault}
_REFUSAL_FAULTS = {Refusal.OWN: RuleFault.URL_OWN_HOST, Refusal.SERVICE_PORT: RuleFault.URL_PORT_REFUSED}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_IN_NAMES = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def check_rule(rule: Rule, statuses: Collection[str], guard: AddressGuard = STRICT) -> tuple[FaultFound, ...]:
    """All that is wrong with a rule; nothing: it may be saved.

    ``statuses``: keys of the user's statuses. ``guard``: the same that judges when a request leaves. No name is resolved here.
    """
    found = [*_check_owner(rule), *check_request(rule.request, guard), *_check_conditions(rule, statuses)]
    found += _check_success(rule.success)
    found += _check_alarm_rule(rule)
    if rule.schedule.attempts > MAX_ATTEMPTS:
        found.append(FaultFound("waits_seconds", RuleFault.SCHEDULE_TOO_LONG))
    if any(not 1 <= wait <= MAX_WAIT_SECONDS for wait in rule.schedule.waits_seconds):
        found.append(FaultFound("waits_seconds", RuleFault.SCHEDULE_OUT_OF_RANGE))
    return tuple(found)


def check_request(request: RequestTemplate, guard: AddressGuard = STRICT) -> tuple[FaultFound, ...]:
    """All that is wrong with a request template."""
    found = [*_check_url(request.url, guard)]
    if len(request.headers) > MAX_HEADERS:
        found.append(FaultFound("request.headers", RuleFault.TOO_MANY_HEADERS))
    seen: set[str] = set()
    for at, header in enumerate(request.headers[:MAX_HEADERS]):
        found += _check_header(header, f"request.headers[{at}]", seen)
    fault = _body_fault(request)
    if fault is not None:
        found.append(FaultFound("request.body", fault))
    lengths = [len(secret) for secret in request.secrets]
    if len(lengths) > MAX_SECRETS or any(not MIN_SECRET_LENGTH <= length <= MAX_SECRET_LENGTH for length in lengths):
        found.append(FaultFound("request.secrets", RuleFault.SECRETS_UNFIT))
    return tuple(found)


def _check_owner(rule: Rule) -> list[FaultFound]:
    found = []
    if not rule.name.strip():
        found.append(FaultFound("name", RuleFault.NAME_MISSING))
    if len(rule.name) > MAX_NAME:
        found.append(FaultFound("name", RuleFault.NAME_TOO_LONG))
    if _IN_NAMES.search(rule.name):
        found.append(FaultFound("name", RuleFault.NAME_CHARACTER))
    if rule.source_id is not None and rule.campaign_id is not None:
        found.append(FaultFound("campaign_id", RuleFault.TWO_OWNERS))
    return found


def _check_alarm_rule(rule: Rule) -> list[FaultFound]:
    """Find what would be ignored in silence: conditions about conversions in a rule that is sent for none."""
    if rule.conditions.trigger is not Trigger.ALARM:
        return []
    owners = [field for field in ("source_id", "campaign_id") if getattr(rule, field) is not None]
    found = [FaultFound(field, RuleFault.ALARM_OF_ONE) for field in owners]
    if rule.conditions != Conditions(trigger=Trigger.ALARM):
        found.append(FaultFound("conditions.trigger", RuleFault.ALARM_CONDITIONS))
    return found


def _check_url(url: str, guard: AddressGuard) -> list[FaultFound]:
    """The URL as written, its macros standing for one harmless character, through the parser that sending uses."""
    if not url:
        return [FaultFound("request.url", RuleFault.URL_MISSING)]
    if len(url) > MAX_URL:
        return [FaultFound("request.url", RuleFault.URL_TOO_LONG)]
    if any(finding.code is FindingCode.MACRO_IN_AUTHORITY for finding in check(url)):
        return [FaultFound("request.url", RuleFault.URL_MACRO_IN_AUTHORITY)]
    if invisible := INVISIBLE.search(url):
        detail = f"U+{ord(invisible[0]):04X}, invisible, at character {invisible.start() + 1}"
        return [FaultFound("request.url", RuleFault.URL_CHARACTER, detail)]
    template = parse(url)
    target = target_of(template.render(dict.fromkeys(template.names, "0"), Place.URL, 0, lambda: 0))
    if isinstance(target, TargetFault):
        return [FaultFound("request.url", _URL_FAULTS[target])]
    judgement = guard.judge_target(target)
    if isinstance(judgement, RefusedAddress):
        fault = _REFUSAL_FAULTS.get(judgement.reason, RuleFault.URL_ADDRESS_REFUSED)
        detail = target.authority if fault is RuleFault.URL_OWN_HOST else judgement.sentence
        return [FaultFound("request.url", fault, detail)]
    return []


def _check_header(header: Header, field: str, seen: set[str]) -> list[FaultFound]:
    found = []
    name = header.name.lower()
    if not _TOKEN.fullmatch(header.name):
        found.append(FaultFound(f"{field}.name", RuleFault.HEADER_NAME, header.name[:100]))
    elif name in FORBIDDEN_HEADERS:
        found.append(FaultFound(f"{field}.name", RuleFault.HEADER_FORBIDDEN, header.name))
    elif name in seen:
        found.append(FaultFound(f"{field}.name", RuleFault.HEADER_TWICE, header.name))
    seen.add(name)
    if _CONTROL.search(header.value):
        found.append(FaultFound(f"{field}.value", RuleFault.HEADER_CHARACTER))
    if len(header.value) > MAX_HEADER_VALUE:
        found.append(FaultFound(f"{field}.value", RuleFault.HEADER_TOO_LONG))
    return found


def _body_fault(request: RequestTemplate) -> RuleFault | None:
    if len(request.body) > MAX_BODY:
        return RuleFault.BODY_TOO_LONG
    if request.body and request.body_kind is BodyKind.NONE:
        return RuleFault.BODY_WITHOUT_KIND
    if request.body_kind is not BodyKind.NONE and request.method is Method.GET:
        return RuleFault.BODY_WITH_GET
    if request.body_kind is BodyKind.JSON:
        names = ready_request(request).body.names
        body = parse(request.body).render(dict.fromkeys(names, "0"), Place.JSON, 0, lambda: 0)
        try:
            msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return RuleFault.BODY_NOT_JSON
    return None


def _check_success(success: Success) -> list[FaultFound]:
    found = [
        FaultFound(f"success.{field}", RuleFault.SUCCESS_TOO_LONG)
        for field in ("must_contain", "must_not_contain")
        if len(getattr(success, field)) > MAX_SUCCESS_TEXT
    ]
    for field in ("must_match", "must_not_match"):
        try:
            pattern_of(getattr(success, field))
        except PatternError as error:
            found.append(FaultFound(f"success.{field}", RuleFault.SUCCESS_NOT_A_PATTERN, str(error)[:200]))
    return found


def _check_conditions(rule: Rule, statuses: Collection[str]) -> list[FaultFound]:
    conditions = rule.conditions
    found = [
        FaultFound(f"conditions.statuses[{at}]", RuleFault.STATUS_UNKNOWN, key[:100])
        for at, key in enumerate(conditions.statuses)
        if key not in statuses
    ]
    minimum = conditions.minimum_payout_micros
    if minimum is not None and abs(minimum) > MAX_AMOUNT_MICROS:
        found.append(FaultFound("conditions.minimum_payout_micros", RuleFault.MINIMUM_OUT_OF_RANGE))
    if not 1 <= conditions.every_nth <= MAX_EVERY_NTH:
        found.append(FaultFound("conditions.every_nth", RuleFault.EVERY_NTH_OUT_OF_RANGE))
    if not 0 <= conditions.delay_seconds <= MAX_DELAY_SECONDS:
        found.append(FaultFound("conditions.delay_seconds", RuleFault.DELAY_OUT_OF_RANGE))
    if not 0 <= conditions.payout_percent <= 100:
        found.append(FaultFound("conditions.payout_percent", RuleFault.PERCENT_OUT_OF_RANGE))
    return found
