"""Conditions as they are tried: each operator on each kind of value, and what holds for the unknown."""

import ipaddress
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.routing.conditions import SharedTests, ready_condition
from clickloop.setup.condition import FIELDS, OPERATORS, Condition, Operator, UnknownValue, condition_faults

_THURSDAY_NOON = 1_772_712_000_000  # 2026-03-05T12:00Z


def holds(field: str, op: str, values: list[str], value: object, **more: object) -> bool:
    """Whether a condition without faults holds for a value."""
    condition = Condition(field=field, op=Operator(op), values=tuple(values), **more)  # type: ignore[arg-type]
    assert condition_faults("c", condition) == []
    return ready_condition(condition).holds(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "op", "values", "fits", "fails"),
    [
        ("country", "in", ["US", "CA"], "CA", "MX"),
        ("country", "not_in", ["US"], "CA", "US"),
        ("region", "in", ["US-CA"], "US-CA", "US-NY"),
        ("city", "in", ["são paulo"], "São Paulo", "Santos"),
        ("isp", "contains", ["mobile"], "T-Mobile USA", "Verizon"),
        ("isp", "starts_with", ["t-mob", "veri"], "Verizon", "AT&T"),
        ("useragent", "matches", ["Chrome/1[34][0-9]"], "x Chrome/141 y", "x Chrome/99"),
        ("language", "in", ["en", "pt-br"], "en-us", "pt-pt"),
        ("os_version", "in", ["17", "18.1"], "17.5", "18.2"),
        ("os_version", "in", ["18.1"], "18.1.2", "18"),
        ("os_version", "between", ["9", "10"], "10.3", "11"),
        ("os_version", "between", ["9.10", ""], "9.10", "9.9"),
        ("browser_version", "between", ["", "120"], "120.7", "121.0"),
        ("asn", "in", ["15169"], "15169", "1516"),
        ("asn", "between", ["100", "200"], "200", "201"),
        ("asn", "between", ["100", ""], "4294967295", "9" * 5000),
        ("ip", "in", ["203.0.113.0/24", "2001:db8::/32"], "203.0.113.77", "203.0.114.1"),
        ("ip", "in", ["203.0.113.0/24", "2001:db8::/32"], "2001:db8:1::5", "2001:db9::1"),
        ("ip", "in", ["203.0.113.7"], "::ffff:203.0.113.7", "203.0.113.8"),
        ("ip", "not_in", ["203.0.113.0/24"], "198.51.100.1", "203.0.113.1"),
        ("v3", "in", ["Zone1"], "Zone1", "zone1"),
        ("external_id", "starts_with", ["abc"], "abcdef", "ABCdef"),
        ("query.utm_source", "contains", ["News"], "aNewsb", "anewsb"),
        ("referrer", "empty", [], "", "https://a.example/"),
        ("unique", "in", ["yes"], "yes", "no"),
        ("schedule", "in", ["UTC", "thu 12-13"], _THURSDAY_NOON, _THURSDAY_NOON - 1),
        ("schedule", "in", ["Asia/Kolkata", "thu 17-18"], _THURSDAY_NOON + 29 * 60_000, _THURSDAY_NOON + 30 * 60_000),
        ("schedule", "not_in", ["UTC", "thu 0-24"], _THURSDAY_NOON + 12 * 3_600_000, _THURSDAY_NOON),
        ("date", "between", ["2026-03-05", "2026-03-05"], _THURSDAY_NOON, _THURSDAY_NOON + 12 * 3_600_000),
        ("date", "between", ["", "2026-03-05T12:00"], _THURSDAY_NOON, _THURSDAY_NOON + 1),
        ("date", "between", ["2026-03-05T13:00", "", "Europe/Berlin"], _THURSDAY_NOON, _THURSDAY_NOON - 1),
    ],
)
def test_a_condition_holds_for_what_fits(field: str, op: str, values: list[str], fits: object, fails: object) -> None:
    assert holds(field, op, values, fits)
    assert not holds(field, op, values, fails)


@pytest.mark.parametrize("field", FIELDS)
def test_in_never_holds_for_the_unknown_and_not_in_does_unless_unknown_says_otherwise(field: str) -> None:
    values = {
        "schedule": ["UTC", "mon 0-1"], "ip": ["10.0.0.0/8"], "asn": ["1"], "os_version": ["1"], "browser_version": ["1"],
        "country": ["US"], "continent": ["EU"], "region": ["US-CA"], "language": ["en"], "unique": ["yes"], "ip_version": ["4"],
        "visit_number": ["2"], "mark": ["datacenter"],
    }.get(field, ["x"])  # fmt: skip
    if Operator.IN not in OPERATORS[FIELDS[field]]:
        return
    assert not holds(field, "in", values, "")
    assert holds(field, "in", values, "", unknown=UnknownValue.MATCH)
    assert holds(field, "not_in", values, "")
    assert not holds(field, "not_in", values, "", unknown=UnknownValue.NO_MATCH)


@pytest.mark.parametrize(
    ("field", "op", "values", "at", "code"),
    [
        ("planet", "in", ["x"], "c.field", "not_found"),
        ("query.", "in", ["x"], "c.field", "not_found"),
        ("country", "contains", ["x"], "c.op", "not_allowed"),
        ("date", "in", ["2026-01-01"], "c.op", "not_allowed"),
        ("country", "in", [], "c.values", "required"),
        ("referrer", "empty", ["x"], "c.values", "not_allowed"),
        ("os_version", "between", ["1"], "c.values", "out_of_range"),
        ("os_version", "between", ["", ""], "c.values", "out_of_range"),
        ("country", "in", ["us"], "c.values[0]", "character"),
        ("region", "in", ["US-CA", "California"], "c.values[1]", "character"),
        ("os_version", "in", ["17.x"], "c.values[0]", "character"),
        ("ip", "in", ["10.0.0.0/33"], "c.values[0]", "character"),
        ("useragent", "matches", ["(?=x)"], "c.values[0]", "character"),
        ("useragent", "matches", ["x"] * 21, "c.values", "too_many"),
        ("v1", "in", ["x"] * 10_001, "c.values", "too_many"),
        ("schedule", "in", ["Mars/Olympus", "mon 0-1"], "c.values[0]", "character"),
        ("schedule", "in", ["../UTC", "mon 0-1"], "c.values[0]", "character"),
        ("schedule", "in", ["UTC", "mon 9-9"], "c.values[1]", "character"),
        ("schedule", "in", ["UTC", "mon 9-25"], "c.values[1]", "character"),
        ("date", "between", ["yesterday", ""], "c.values[0]", "character"),
        ("date", "between", ["2026-01-01T00:00Z", ""], "c.values[0]", "character"),
        ("v1", "in", ["x" * 1001], "c.values[0]", "too_long"),
        ("v1", "in", ["a\nb"], "c.values[0]", "character"),
    ],
)
def test_a_faulty_condition_is_refused_where_it_is_faulty(
    field: str, op: str, values: list[str], at: str, code: str
) -> None:
    faults = condition_faults("c", Condition(field=field, op=Operator(op), values=tuple(values)))
    assert [(fault.field, fault.code) for fault in faults] == [(at, code)]


@pytest.mark.parametrize("op", ["in", "contains", "starts_with"])
def test_10000_values_find_each_of_them_and_nothing_else(op: str) -> None:
    values = [f"zone-{number}-end" for number in range(10_000)]
    ready = ready_condition(Condition(field="v1", op=Operator(op), values=tuple(values)))
    assert all(ready.holds(value) for value in values)
    assert not any(ready.holds(f"zone-{number}-no") for number in range(10_000))


@pytest.mark.parametrize(
    ("op", "field"), [("contains", "useragent"), ("starts_with", "useragent"), ("in", "useragent")]
)
def test_what_10000_values_cost_hangs_on_the_visitors_value_alone(op: str, field: str) -> None:
    def cost(count: int) -> float:
        ready = ready_condition(
            Condition(field=field, op=Operator(op), values=tuple(f"bot{n:06}x" for n in range(count)))
        )
        agent = "Mozilla/5.0 bot00000 bot99 " * 30
        ready.holds(agent)
        begun = time.process_time()
        for _ in range(2000):
            ready.holds(agent)
        return time.process_time() - begun

    assert cost(10_000) < 20 * cost(100) + 0.05


@pytest.mark.parametrize(
    "expression", ["(a+)+$", "(?i)(?:a?){100}c", "((a{0,30}){0,10})x", ".{0,80}.{0,80}z", "(?:[ab]?){200}[ab]{60}x"]
)
def test_a_regular_expression_made_to_be_slow_is_not(expression: str) -> None:
    ready = ready_condition(Condition(field="useragent", op=Operator.MATCHES, values=(expression,)))
    agents = ["a" * 1000 + "b", "ab" * 500, "aab" * 333, "é" * 1000]
    for agent in agents:
        ready.holds(agent)  # builds the automaton
    begun = time.process_time()
    for _ in range(10):
        assert not any(ready.holds(agent) for agent in agents)
    assert time.process_time() - begun < 0.1


@pytest.mark.parametrize("last", ["9999-12-31", "99991231", "9999-W52-5"])
def test_the_last_day_of_all_is_for_ever(last: str) -> None:
    assert holds("date", "between", ["2026-03-05", last], _THURSDAY_NOON)
    assert not holds("date", "between", ["2026-03-06", last], _THURSDAY_NOON)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
@given(
    bounds=st.tuples(
        st.dates().map(str) | st.datetimes().map(str) | st.just(""), st.dates().map(str) | st.datetimes().map(str)
    )
)
def test_every_date_that_is_accepted_can_be_tried(zone: str, bounds: tuple[str, str]) -> None:
    condition = Condition(field="date", op=Operator.BETWEEN, values=(*bounds, zone))
    if not condition_faults("c", condition):
        assert ready_condition(condition).holds(_THURSDAY_NOON) in (True, False)


@given(
    st.lists(st.ip_addresses(network="10.0.0.0/28") | st.ip_addresses(network="2001:db8::/124"), min_size=1),
    st.lists(st.integers(0, 32), min_size=1),
    st.ip_addresses(network="10.0.0.0/27") | st.ip_addresses(network="2001:db8::/123"),
)
def test_an_address_is_in_a_network_as_python_says(
    found: list[ipaddress.IPv4Address | ipaddress.IPv6Address],
    prefixes: list[int],
    visitor: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    values = [f"{address}/{prefixes[n % len(prefixes)]}" for n, address in enumerate(found)] + [str(found[0])]
    networks = [ipaddress.ip_network(value, strict=False) for value in values]
    assert holds("ip", "in", values, str(visitor)) is any(visitor in network for network in networks)


def test_a_list_that_hundreds_of_conditions_compare_with_is_read_once() -> None:
    entries = tuple(f"zone{n}" for n in range(10_000))
    shared: SharedTests = {}
    ready = [
        ready_condition(Condition(field=f"v{n}", op=Operator.NOT_IN, list_id=1), entries, shared) for n in range(1, 31)
    ]
    assert len({id(one.test) for one in ready}) == 1
    coded = ready_condition(Condition(field="country", op=Operator.NOT_IN, list_id=1), entries, shared)
    assert coded.holds("zone1")
    assert not ready[0].holds("zone1")


@given(st.text(max_size=60))
def test_no_text_breaks_a_condition(text: str) -> None:
    for field, op, values in (
        ("os_version", "between", ("1", "2")),
        ("os_version", "in", ("1.2",)),
        ("ip", "in", ("10.0.0.0/8",)),
        ("asn", "between", ("1", "2")),
        ("language", "in", ("en",)),
        ("useragent", "matches", ("x.y",)),
        ("city", "contains", tuple(f"x{n}" for n in range(30))),
    ):
        assert ready_condition(Condition(field=field, op=Operator(op), values=values)).holds(text) in (True, False)


@pytest.mark.parametrize(
    ("field", "entries", "held", "failed"),
    [
        ("asn", ("abc", "²", "9" * 5000, "7"), "7", "8"),
        ("ip", ("x", "10.0.0.0/8", "300.1.1.1"), "10.1.1.1", "11.1.1.1"),
        ("os_version", ("beta", "17"), "17.2", "16"),
    ],
)
def test_entries_of_a_list_that_a_field_cannot_be_compared_with_are_passed_over(
    field: str, entries: tuple[str, ...], held: str, failed: str
) -> None:
    ready = ready_condition(Condition(field=field, list_id=1), entries)
    assert ready.holds(held)
    assert not ready.holds(failed)


def test_matches_takes_no_list_of_ten_thousand_expressions() -> None:
    (fault,) = condition_faults("c", Condition(field="useragent", op=Operator.MATCHES, values=("a",), list_id=1))
    assert (fault.field, fault.code) == ("c.list_id", "not_allowed")


def test_a_visitor_with_several_marks_is_in_any_of_them() -> None:
    assert holds("mark", "in", ["datacenter", "listed_ip"], "bot_useragent,datacenter")
    assert not holds("mark", "in", ["listed_ip"], "bot_useragent,datacenter")
    assert not holds("mark", "not_in", ["datacenter"], "bot_useragent,datacenter")
    assert holds("mark", "not_in", ["listed_ip"], "bot_useragent,datacenter")


@pytest.mark.parametrize(
    ("mark", "reason"),
    [("frequent_ip", "given after the redirect"), ("no_view", "after the redirect"), ("bot", "no such mark")],
)
def test_a_rule_takes_only_marks_that_are_given_before_the_redirect(mark: str, reason: str) -> None:
    (fault,) = condition_faults("c", Condition(field="mark", values=("datacenter", mark)))
    assert fault.field == "c.values[1]"
    assert reason in fault.message


def test_marks_take_no_list() -> None:
    (fault,) = condition_faults("c", Condition(field="mark", list_id=1))
    assert fault.message == "A condition on marks takes no list."
