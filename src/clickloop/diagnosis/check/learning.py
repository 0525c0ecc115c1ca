"""Check the paths that learn: whether they can, by their set-up and by what their visits came to. Pure."""

from collections.abc import Iterator

import msgspec

from clickloop.clock import HOUR_MS
from clickloop.diagnosis.check.chain import Chain, CheckedFlow
from clickloop.diagnosis.check.finding import CheckCode, CheckFinding, CheckPlace
from clickloop.diagnosis.check.flows import flow_place
from clickloop.learning.sentences import GOALS
from clickloop.learning.splits import LearningObstacle, Split, nothing_to_compare, obstacle_of, splits_of
from clickloop.macro import Severity
from clickloop.plural import pluralize
from clickloop.setup.flow import Path
from clickloop.setup.learning import Goal, ItemKind

MIN_VISITS = 100
"""With fewer visits that count, a path without conversions is only a note."""
_REMEDIES = {
    LearningObstacle.ONE_ITEM: "Add another landing or offer, or switch learning off.",
    LearningObstacle.ONE_LANDING: "Add another landing, or choose another goal.",
    LearningObstacle.NO_LANDINGS: "Choose another goal, or send the path's visitors to landings.",
    LearningObstacle.NO_CHOICE: "Switch learning off.",
    LearningObstacle.WINDOW_TOO_SHORT: "Lengthen the window, or lower the age at which visits count.",
    LearningObstacle.NO_CONVERSIONS: (
        "Check that the network reports its conversions. With few of them lengthen the window, or learn towards conversions or "
        "landing CTR."
    ),
}


class LearningEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What the visits of a path's landings or offers came to. ``shortest_delay_ms``: the lowest age at which visits count."""

    path_id: int
    kind: ItemKind
    visits: int
    successes: int
    shortest_delay_ms: int


def learning_splits(chain: Chain) -> list[Split]:
    """Return what the active paths of a chain learn."""
    return [split for _, _, path in _learning_paths(chain) for split in _splits(path, chain)]


def learning_set_up_findings(chain: Chain) -> Iterator[CheckFinding]:
    """Yield a finding for each path whose set-up leaves nothing to learn."""
    for flow, at, path in _learning_paths(chain):
        obstacle = obstacle_of(path)
        if obstacle is None and path.learning is not None and not list(_splits(path, chain)):
            obstacle = nothing_to_compare(path.learning)
        if obstacle is not None:
            yield _finding(Severity.WARNING, obstacle, path, flow_place(flow, at, chain), obstacle.sentence)


def learning_evidence_findings(chain: Chain, evidence: tuple[LearningEvidence, ...]) -> Iterator[CheckFinding]:
    """Yield a finding for each path that its visits leave nothing to learn from."""
    seen = {(one.path_id, one.kind): one for one in evidence}
    for flow, at, path in _learning_paths(chain):
        for split in _splits(path, chain):
            counted = seen.get((split.path_id, split.kind))
            if counted is None or counted.successes or split.learning.frozen:
                continue
            place = flow_place(flow, at, chain)
            window = split.learning.window_hours
            if counted.shortest_delay_ms >= window * HOUR_MS:
                sentence = (
                    f"Visits count only after {counted.shortest_delay_ms // HOUR_MS} hours, when most conversions have come, but the "
                    f"window is {pluralize(window, 'hour')}, so none ever counts."
                )
                yield _finding(Severity.WARNING, LearningObstacle.WINDOW_TOO_SHORT, path, place, sentence)
                continue
            noun = "landing click" if split.learning.goal is Goal.LANDING_CTR else "conversion"
            visits = (
                f"{pluralize(counted.visits, 'visit')} of its {split.kind.value} in the last {pluralize(window, 'hour')} counted, "
                f"none with a {noun}"
                if counted.visits
                else f"No visit of its {split.kind.value} in the last {pluralize(window, 'hour')} counts yet"
            )
            sentence = f"{visits}, so your weights are used."
            severity = Severity.WARNING if counted.visits >= MIN_VISITS else Severity.NOTE
            yield _finding(severity, LearningObstacle.NO_CONVERSIONS, path, place, sentence)


def _finding(
    severity: Severity, obstacle: LearningObstacle, path: Path, place: CheckPlace, sentence: str
) -> CheckFinding:
    name = f"The path {path.name!r}" if path.name else "A path without a name"
    goal = GOALS[path.learning.goal] if path.learning else ""
    return CheckFinding(
        severity,
        CheckCode.PATH_CANNOT_LEARN,
        place,
        f"{name} is set to learn towards {goal}, but cannot. {sentence}",
        _REMEDIES[obstacle],
    )


def _learning_paths(chain: Chain) -> Iterator[tuple[CheckedFlow, str, Path]]:
    """Yield the active paths that learn, with their flow and place."""
    for flow in chain.flows:
        off = {f"rules[{number}]" for number, rule in enumerate(flow.parts.rules) if not rule.active}
        for at, path in flow.parts.paths():
            if path.learning is not None and path.active and at.partition(".")[0] not in off:
                yield flow, at, path


def _splits(path: Path, chain: Chain) -> Iterator[Split]:
    known = {ItemKind.LANDINGS: chain.landings.keys(), ItemKind.OFFERS: chain.offers.keys()}
    return splits_of(path, lambda kind, id_: id_ in known[kind])
