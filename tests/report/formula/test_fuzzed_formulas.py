"""Any text is refused, or becomes SQL of integers and columns alone, which an engine calculates. A hundred thousand in the bench."""

from bench.formulas import fuzz


def test_no_text_crashes_injects_or_takes_more_steps_than_its_length_warrants() -> None:
    found = fuzz(600, seed=12, every=1)
    assert found.problems == []
    assert found.compiled > 100
    assert found.calculated > 100
    assert found.most_steps_per_character < 60
