"""Costs spread over random segments, as the bench of 10,000 does it."""

from bench.cost_segments import compare


def test_entries_over_random_segments_agree_with_a_plain_model_to_the_micro() -> None:
    found = compare(segments=80, count=60, seed=2)
    assert found.differing == 0
    assert found.without_clicks
    assert found.of_one_click
    assert found.comparisons > found.segments
