"""What the rules and paths of a flow are called."""

from clickloop.setup.flow import FlowParts, OfferShare, Path, Rule, part_labels


def path(number: int, name: str = "") -> Path:
    return Path(id=number, name=name, offers=(OfferShare(offer_id=1),))


def test_a_rule_without_a_name_is_numbered_as_it_stands() -> None:
    rules = (Rule(id=7, name="US"), Rule(id=9))
    assert part_labels(FlowParts(rules=rules)) == {7: "US", 9: "Rule 2"}


def test_a_path_without_a_name_tells_whose_it_is() -> None:
    rules = (Rule(id=7, name="US", paths=(path(8), path(9, "Quiz"), path(10))),)
    labels = part_labels(FlowParts(rules=rules, default_paths=(path(3),)))
    assert labels == {7: "US", 8: "US, path 1", 9: "Quiz", 10: "US, path 3", 3: "Default path"}


def test_several_default_paths_are_numbered() -> None:
    assert part_labels(FlowParts(default_paths=(path(3), path(4)))) == {3: "Default path 1", 4: "Default path 2"}


def test_the_label_of_a_path_is_no_longer_than_a_name() -> None:
    rules = (Rule(id=1, name="x" * 200, paths=(path(2),)),)
    assert len(part_labels(FlowParts(rules=rules))[2]) <= 200
