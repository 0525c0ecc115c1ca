"""Facts of changes: whatever happens to a conversion, their sums equal its final state."""

from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from clickloop.click.click import Click
from clickloop.conversion.conversion import Change, Conversion
from clickloop.conversion.status import CountsAs, Status
from clickloop.money import Money
from clickloop.report.fact import ConversionFact, facts_of_change

STATUSES = [
    Status("hold", "Hold", CountsAs.PENDING),
    Status("sale", "Sale", CountsAs.CONFIRMED),
    Status("rejected", "Rejected", CountsAs.REJECTED),
]
HOLD, SALE, REJECTED = STATUSES


def a_conversion(
    status: Status = SALE, micros: int = 5_000_000, currency: str = "USD", test: bool = False, at: int = 1_000
) -> Conversion:
    return Conversion(
        conversion_id="c1",
        click=Click(click_id="x", at=500, campaign_id=1, source_id=2, v3="mainstream"),
        txid="t",
        status=status,
        status_word=status.key,
        payout=Money(micros, currency),
        first_of_click=True,
        test=test,
        converted_at=at,
        created_at=at,
        updated_at=at,
        version=1,
    )


def a_change(before: Conversion | None, after: Conversion) -> Change:
    return Change(before=before, after=after, at=2_000, notice_id="n1")


def test_a_new_conversion_adds_one_with_its_click() -> None:
    conversion = a_conversion()
    (fact,) = facts_of_change(a_change(None, conversion))
    assert (fact.conversions, fact.revenue_micros, fact.currency, fact.status_key) == (1, 5_000_000, "USD", "sale")
    assert (fact.click, fact.at, fact.recorded_at, fact.txid) == (conversion.click, 1_000, 2_000, "t")


def test_only_a_confirmed_status_adds_revenue() -> None:
    measures = []
    for status in STATUSES:
        (fact,) = facts_of_change(a_change(None, a_conversion(status, 7)))
        measures.append((fact.pending_micros, fact.revenue_micros, fact.rejected_micros))
    assert measures == [(7, 0, 0), (0, 7, 0), (0, 0, 7)]


def test_a_changed_status_reverses_the_old_row_and_adds_the_new() -> None:
    taken, added = facts_of_change(a_change(a_conversion(HOLD, 3), a_conversion(REJECTED, 3)))
    assert (taken.status_key, taken.conversions, taken.pending_micros) == ("hold", -1, -3)
    assert (added.status_key, added.conversions, added.rejected_micros) == ("rejected", 1, 3)


def test_a_correction_has_the_time_of_what_it_corrects() -> None:
    taken, added = facts_of_change(a_change(a_conversion(HOLD, at=1_000), a_conversion(SALE, at=9_000)))
    assert (taken.at, added.at) == (1_000, 9_000)


def test_a_change_of_details_only_adds_no_facts() -> None:
    before = a_conversion()
    assert facts_of_change(a_change(before, msgspec.structs.replace(before, version=2, flags=("x",)))) == []


def test_test_conversions_add_no_facts() -> None:
    assert facts_of_change(a_change(None, a_conversion(test=True))) == []
    assert facts_of_change(a_change(a_conversion(HOLD, test=True), a_conversion(test=True))) == []


def test_a_chargeback_is_negative_revenue() -> None:
    (fact,) = facts_of_change(a_change(None, a_conversion(micros=-3)))
    assert (fact.conversions, fact.revenue_micros) == (1, -3)


def _sums(facts: list[ConversionFact]) -> Counter[tuple[str, str, str]]:
    sums: Counter[tuple[str, str, str]] = Counter()
    for fact in facts:
        for measure in ("conversions", "revenue_micros", "pending_micros", "rejected_micros"):
            sums[fact.status_key, fact.currency, measure] += getattr(fact, measure)
    return Counter({key: value for key, value in sums.items() if value})


_conversions = st.builds(
    a_conversion, st.sampled_from(STATUSES), st.integers(-10, 10), st.sampled_from(["USD", "EUR"]), st.booleans()
)


@given(st.lists(_conversions, min_size=1, max_size=8))
def test_after_any_history_the_sums_equal_the_last_state(states: list[Conversion]) -> None:
    facts: list[ConversionFact] = []
    before: Conversion | None = None
    for state in states:
        facts += facts_of_change(a_change(before, state))
        before = state
    assert _sums(facts) == _sums(facts_of_change(a_change(None, states[-1])))
