"""Check a rule when it is saved. Each fault is one of a closed list, with its field."""

import re
from collections.abc import Collection

import msgspec

from clickloop.explained import Explained
from clickloop.macro import EncodingContext, TemplateIssueCode, check, parse
from clickloop.pasting import INVISIBLE
from clickloop.pattern import PatternError, pattern_of
from clickloop.postback.rule import (
    BodyKind,
    Conditions,
    Header,
    Method,
    PostbackRule,
    RequestTemplate,
    Success,
    Trigger,
)
from clickloop.postback.sending.address_guard import STRICT, AddressGuard, RefusedAddress
from clickloop.postback.sending.address_ranges import AddressRefusal
from clickloop.postback.sending.target import MAX_URL, TargetFault, target_of
from clickloop.postback.values import ready_request

MAX_NAME = 200  # shown in lists and selects
MAX_HEADERS = 50  # servers refuse requests with more
MAX_HEADER_VALUE = 4_000  # servers refuse longer ones
MAX_BODY = 65_536  # stored with each postback
MAX_SUCCESS_TEXT = 1_000  # searched for in each response
MAX_SECRETS = 20  # each is searched for in everything shown
MIN_SECRET_LENGTH = 4  # a shorter one would mask parts of ordinary words
MAX_SECRET_LENGTH = 500  # receivers' keys are shorter
MAX_EVERY_NTH = 1_000  # beyond it, practically never
MAX_DELAY_SECONDS = 30 * 86_400  # by then, users have forgotten that they set it
MAX_ATTEMPTS = 30  # each is a stored row
MAX_WAIT_SECONDS = 7 * 86_400  # a receiver that is down for longer will not return
MAX_AMOUNT_MICROS = 10**18  # above any readable amount, and within 64 bits

FORBIDDEN_HEADERS = frozenset(
    (
        *("host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection"),
        *("proxy-authorization", "te", "trailer", "upgrade", "expect", "accept-encoding"),
        "x-clickloop-attempt",
    )
)
"""Headers that only the HTTP client may set, because they frame the request."""


class RuleFault(Explained):
    """A fault of a rule."""

    NAME_MISSING = "name_missing", "Enter a name for the rule."
    NAME_TOO_LONG = "name_too_long", f"The name is longer than {MAX_NAME} characters."
    NAME_CHARACTER = (
        "name_character",
        "The name contains a control character or half a character. Enter a single line of text.",
    )
    TWO_OWNERS = (
        "two_owners",
        "The rule has a source and a campaign. Choose one, or neither for the whole instance.",
    )
    URL_MISSING = "url_missing", "Enter a URL."
    URL_TOO_LONG = "url_too_long", TargetFault.TOO_LONG.sentence
    URL_CHARACTER = "url_character", TargetFault.CHARACTER.sentence
    URL_SCHEME = "url_scheme", TargetFault.SCHEME.sentence
    URL_CREDENTIALS = "url_credentials", TargetFault.CREDENTIALS.sentence
    URL_HOST = "url_host", TargetFault.HOST.sentence
    URL_PORT = "url_port", TargetFault.PORT.sentence
    URL_FRAGMENT = "url_fragment", TargetFault.FRAGMENT.sentence
    URL_MACRO_IN_AUTHORITY = (
        "url_macro_in_authority",
        "The URL has a macro in its scheme, user, host or port, where a value could redirect the request. Write that part out.",
    )
    URL_OWN_HOST = "url_own_host", "The URL leads to this tracker itself."
    URL_ADDRESS_REFUSED = "url_address_refused", "The URL leads to an address that the operator has not allowed."
    URL_PORT_REFUSED = (
        "url_port_refused",
        "The URL leads to a port that the operator has not allowed.",
    )
    HEADER_NAME = "header_name", "A header's name is empty or contains characters that are not allowed."
    HEADER_FORBIDDEN = "header_forbidden", "Clickloop sets this header itself. Remove it."
    HEADER_TWICE = "header_twice", "A header occurs twice. Remove one."
    HEADER_CHARACTER = "header_character", "A header's value contains a control character."
    HEADER_TOO_LONG = "header_too_long", f"A header's value is longer than {MAX_HEADER_VALUE} characters."
    TOO_MANY_HEADERS = "too_many_headers", f"A request can have at most {MAX_HEADERS} headers."
    BODY_TOO_LONG = "body_too_long", f"The body is longer than {MAX_BODY} characters."
    BODY_WITHOUT_KIND = (
        "body_without_kind",
        "The kind of the body is none. Choose form, JSON or text, or remove the body.",
    )
    BODY_WITH_GET = "body_with_get", "A GET request has no body. Choose POST or PUT."
    BODY_NOT_JSON = "body_not_json", "The body is not valid JSON once its macros are filled in."
    STATUS_UNKNOWN = "status_unknown", "This status does not exist."
    MINIMUM_OUT_OF_RANGE = "minimum_out_of_range", "The minimum payout is out of range."
    EVERY_NTH_OUT_OF_RANGE = "every_nth_out_of_range", f"Send every Nth conversion: N must be 1 to {MAX_EVERY_NTH}."
    DELAY_OUT_OF_RANGE = "delay_out_of_range", "The delay must be 0 seconds to 30 days."
    PERCENT_OUT_OF_RANGE = "percent_out_of_range", "The reported payout must be 0 to 100 percent."
    SUCCESS_TOO_LONG = (
        "success_too_long",
        f"A text to look for in the response can have at most {MAX_SUCCESS_TEXT} characters.",
    )
    SUCCESS_NOT_A_PATTERN = "success_not_a_pattern", "The regular expression for the response is not valid."
    SECRETS_UNFIT = (
        "secrets_unfit",
        f"Enter at most {MAX_SECRETS} secrets of {MIN_SECRET_LENGTH} to {MAX_SECRET_LENGTH} characters each.",
    )
    ALARM_OF_ONE = "alarm_of_one", "An alarm rule belongs to the whole instance, not to a source or campaign."
    VIEW_OF_ONE = "view_of_one", "A rule for views belongs to the whole instance, not to a source or campaign."
    VIEW_CONDITIONS = (
        "view_conditions",
        "A rule for views has no conditions about conversions: remove everything but the trigger.",
    )
    ALARM_CONDITIONS = (
        "alarm_conditions",
        "An alarm rule is not sent for conversions. Leave out statuses, minimum, share, delay and the like.",
    )
    SCHEDULE_TOO_LONG = "schedule_too_long", f"A schedule can have at most {MAX_ATTEMPTS} attempts."
    SCHEDULE_OUT_OF_RANGE = "schedule_out_of_range", "Each retry delay must be 1 second to 7 days."


class LocatedFault(msgspec.Struct, frozen=True):
    """A fault and its field, such as ``request.url`` or ``request.headers[2].value``."""

    field: str
    fault: RuleFault
    detail: str = ""
    """The value at fault, or what is wrong with it; may be empty."""

    @property
    def sentence(self) -> str:
        return f"{self.fault.sentence} Found: {self.detail}" if self.detail else self.fault.sentence


_URL_FAULTS = {fault: RuleFault[f"URL_{fault.name}"] for fault in TargetFault}
_REFUSAL_FAULTS = {AddressRefusal.OWN: RuleFault.URL_OWN_HOST, AddressRefusal.SERVICE_PORT: RuleFault.URL_PORT_REFUSED}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_IN_NAMES = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def check_rule(rule: PostbackRule, statuses: Collection[str], guard: AddressGuard = STRICT) -> tuple[LocatedFault, ...]:
    """Return everything that is wrong with a rule; it may be saved if that is nothing.

    ``statuses``: keys of the existing statuses. ``guard``: the guard that sending uses. No name is resolved here.
    """
    found = [*_check_owner(rule), *check_request(rule.request, guard), *_check_conditions(rule, statuses)]
    found += _check_success(rule.success)
    found += _check_alarm_rule(rule)
    if rule.schedule.attempts > MAX_ATTEMPTS:
        found.append(LocatedFault("waits_seconds", RuleFault.SCHEDULE_TOO_LONG))
    if any(not 1 <= wait <= MAX_WAIT_SECONDS for wait in rule.schedule.waits_seconds):
        found.append(LocatedFault("waits_seconds", RuleFault.SCHEDULE_OUT_OF_RANGE))
    return tuple(found)


def check_request(request: RequestTemplate, guard: AddressGuard = STRICT) -> tuple[LocatedFault, ...]:
    found = [*_check_url(request.url, guard)]
    if len(request.headers) > MAX_HEADERS:
        found.append(LocatedFault("request.headers", RuleFault.TOO_MANY_HEADERS))
    seen: set[str] = set()
    for at, header in enumerate(request.headers[:MAX_HEADERS]):
        found += _check_header(header, f"request.headers[{at}]", seen)
    fault = _body_fault(request)
    if fault is not None:
        found.append(LocatedFault("request.body", fault))
    lengths = [len(secret) for secret in request.secrets]
    if len(lengths) > MAX_SECRETS or any(not MIN_SECRET_LENGTH <= length <= MAX_SECRET_LENGTH for length in lengths):
        found.append(LocatedFault("request.secrets", RuleFault.SECRETS_UNFIT))
    return tuple(found)


def _check_owner(rule: PostbackRule) -> list[LocatedFault]:
    found = []
    if not rule.name.strip():
        found.append(LocatedFault("name", RuleFault.NAME_MISSING))
    if len(rule.name) > MAX_NAME:
        found.append(LocatedFault("name", RuleFault.NAME_TOO_LONG))
    if _IN_NAMES.search(rule.name):
        found.append(LocatedFault("name", RuleFault.NAME_CHARACTER))
    if rule.source_id is not None and rule.campaign_id is not None:
        found.append(LocatedFault("campaign_id", RuleFault.TWO_OWNERS))
    return found


def _check_alarm_rule(rule: PostbackRule) -> list[LocatedFault]:
    """Return faults for what would silently be ignored: conditions about conversions in a rule that is sent for none."""
    trigger = rule.conditions.trigger
    if trigger not in (Trigger.ALARM, Trigger.VIEW):
        return []
    of_one, conditions = (
        (RuleFault.ALARM_OF_ONE, RuleFault.ALARM_CONDITIONS)
        if trigger is Trigger.ALARM
        else (RuleFault.VIEW_OF_ONE, RuleFault.VIEW_CONDITIONS)
    )
    owners = [field for field in ("source_id", "campaign_id") if getattr(rule, field) is not None]
    found = [LocatedFault(field, of_one) for field in owners]
    if rule.conditions != Conditions(trigger=trigger):
        found.append(LocatedFault("conditions.trigger", conditions))
    return found


def _check_url(url: str, guard: AddressGuard) -> list[LocatedFault]:
    """Check the URL with each macro replaced by a harmless character, using the parser that sending uses."""
    if not url:
        return [LocatedFault("request.url", RuleFault.URL_MISSING)]
    if len(url) > MAX_URL:
        return [LocatedFault("request.url", RuleFault.URL_TOO_LONG)]
    if any(finding.code is TemplateIssueCode.MACRO_IN_AUTHORITY for finding in check(url)):
        return [LocatedFault("request.url", RuleFault.URL_MACRO_IN_AUTHORITY)]
    if invisible := INVISIBLE.search(url):
        detail = f"U+{ord(invisible[0]):04X}, invisible, at character {invisible.start() + 1}"
        return [LocatedFault("request.url", RuleFault.URL_CHARACTER, detail)]
    template = parse(url)
    target = target_of(template.render(dict.fromkeys(template.names, "0"), EncodingContext.URL, 0, lambda: 0))
    if isinstance(target, TargetFault):
        return [LocatedFault("request.url", _URL_FAULTS[target])]
    judgement = guard.judge_target(target)
    if isinstance(judgement, RefusedAddress):
        fault = _REFUSAL_FAULTS.get(judgement.reason, RuleFault.URL_ADDRESS_REFUSED)
        detail = target.authority if fault is RuleFault.URL_OWN_HOST else judgement.sentence
        return [LocatedFault("request.url", fault, detail)]
    return []


def _check_header(header: Header, field: str, seen: set[str]) -> list[LocatedFault]:
    found = []
    name = header.name.lower()
    if not _TOKEN.fullmatch(header.name):
        found.append(LocatedFault(f"{field}.name", RuleFault.HEADER_NAME, header.name[:100]))
    elif name in FORBIDDEN_HEADERS:
        found.append(LocatedFault(f"{field}.name", RuleFault.HEADER_FORBIDDEN, header.name))
    elif name in seen:
        found.append(LocatedFault(f"{field}.name", RuleFault.HEADER_TWICE, header.name))
    seen.add(name)
    if _CONTROL.search(header.value):
        found.append(LocatedFault(f"{field}.value", RuleFault.HEADER_CHARACTER))
    if len(header.value) > MAX_HEADER_VALUE:
        found.append(LocatedFault(f"{field}.value", RuleFault.HEADER_TOO_LONG))
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
        body = parse(request.body).render(dict.fromkeys(names, "0"), EncodingContext.JSON, 0, lambda: 0)
        try:
            msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return RuleFault.BODY_NOT_JSON
    return None


def _check_success(success: Success) -> list[LocatedFault]:
    found = [
        LocatedFault(f"success.{field}", RuleFault.SUCCESS_TOO_LONG)
        for field in ("must_contain", "must_not_contain")
        if len(getattr(success, field)) > MAX_SUCCESS_TEXT
    ]
    for field in ("must_match", "must_not_match"):
        try:
            pattern_of(getattr(success, field))
        except PatternError as error:
            found.append(LocatedFault(f"success.{field}", RuleFault.SUCCESS_NOT_A_PATTERN, str(error)[:200]))
    return found


def _check_conditions(rule: PostbackRule, statuses: Collection[str]) -> list[LocatedFault]:
    conditions = rule.conditions
    found = [
        LocatedFault(f"conditions.statuses[{at}]", RuleFault.STATUS_UNKNOWN, key[:100])
        for at, key in enumerate(conditions.statuses)
        if key not in statuses
    ]
    minimum = conditions.minimum_payout_micros
    if minimum is not None and abs(minimum) > MAX_AMOUNT_MICROS:
        found.append(LocatedFault("conditions.minimum_payout_micros", RuleFault.MINIMUM_OUT_OF_RANGE))
    if not 1 <= conditions.every_nth <= MAX_EVERY_NTH:
        found.append(LocatedFault("conditions.every_nth", RuleFault.EVERY_NTH_OUT_OF_RANGE))
    if not 0 <= conditions.delay_seconds <= MAX_DELAY_SECONDS:
        found.append(LocatedFault("conditions.delay_seconds", RuleFault.DELAY_OUT_OF_RANGE))
    if not 0 <= conditions.payout_percent <= 100:
        found.append(LocatedFault("conditions.payout_percent", RuleFault.PERCENT_OUT_OF_RANGE))
    return found
