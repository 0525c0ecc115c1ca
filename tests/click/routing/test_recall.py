"""Bind and rotation for returning visitors, against a slow model that shares no code with them."""

import random
from collections import Counter

import pytest
from msgspec.structs import replace

from clickloop.click.routing.flow import ReadyPath, Weighted, choose_again, weighted
from clickloop.click.routing.recall import (
    LANDING_CHOICE,
    MAX_SEEN,
    OFFER_CHOICE,
    PATH_CHOICE,
    Memory,
    Recall,
    RecallEffect,
    Shown,
    read_recall,
    recall_text,
)
from clickloop.setup.returning import Bind, Rotation


def same(item: int) -> int:
    return item


def recall(bind: Bind = Bind.NONE, rotation: Rotation = Rotation.RANDOM, memory: Memory = Memory()) -> Recall[int]:  # noqa: B008
    return Recall(bind, rotation, same, memory)


def items(*ids: int) -> Weighted[int]:
    return weighted((one, 100) for one in ids)


def chosen(of: Weighted[int], by: Recall[int], choice: int, draw: int = 1) -> tuple[int | None, RecallEffect | None]:
    return choose_again(of, same, by, draw, choice)


@pytest.mark.parametrize(
    ("bind", "choices"),
    [
        (Bind.NONE, set()),
        (Bind.PATH, {PATH_CHOICE}),
        (Bind.LANDING, {PATH_CHOICE, LANDING_CHOICE}),
        (Bind.OFFER, {PATH_CHOICE, LANDING_CHOICE, OFFER_CHOICE}),
    ],
)
def test_bind_repeats_the_path_then_the_landing_then_the_offer(bind: Bind, choices: set[int]) -> None:
    by = recall(bind, memory=Memory(paths=(3,), landing_id=3, offer_id=3))
    repeated = {
        choice
        for choice in (PATH_CHOICE, LANDING_CHOICE, OFFER_CHOICE)
        if all(chosen(items(1, 2, 3, 4), by, choice, draw) == (3, RecallEffect.SAME) for draw in range(50))
    }
    assert repeated == choices


def test_what_is_no_longer_served_is_not_repeated_and_the_choice_is_by_weight() -> None:
    by = recall(Bind.PATH, memory=Memory(paths=(9,)))
    found = {chosen(items(1, 2), by, PATH_CHOICE, draw) for draw in range(50)}
    assert found == {(1, RecallEffect.NOT_AGAIN), (2, RecallEffect.NOT_AGAIN)}


def test_without_anything_served_there_is_no_choice() -> None:
    by = recall(Bind.OFFER, Rotation.UNSEEN, Memory(paths=(9,), seen_paths=(9,)))
    assert chosen(items(), by, PATH_CHOICE) == (None, None)


def test_unseen_items_come_first_by_weight() -> None:
    by = recall(rotation=Rotation.UNSEEN, memory=Memory(seen_offers=(1, 2)))
    of = weighted([(1, 900), (2, 50), (3, 10), (4, 30)])
    counts = Counter(chosen(of, by, OFFER_CHOICE, draw) for draw in range(20_000))
    assert set(counts) == {(3, RecallEffect.UNSEEN), (4, RecallEffect.UNSEEN)}
    assert abs(counts[4, RecallEffect.UNSEEN] - 15_000) < 4 * (20_000 * 0.75 * 0.25) ** 0.5


def test_after_all_were_seen_all_are_in_the_choice_again() -> None:
    by = recall(rotation=Rotation.UNSEEN, memory=Memory(seen_offers=(1, 2)))
    assert {chosen(items(1, 2), by, OFFER_CHOICE, draw) for draw in range(50)} == {
        (1, RecallEffect.ALL_SEEN),
        (2, RecallEffect.ALL_SEEN),
    }


def test_a_bound_visitor_gets_the_rest_in_rotation() -> None:
    by = recall(Bind.PATH, Rotation.UNSEEN, Memory(paths=(1,), seen_paths=(1,), seen_landings=(1,)))
    assert chosen(items(1, 2), by, PATH_CHOICE) == (1, RecallEffect.SAME)
    assert chosen(items(1, 2), by, LANDING_CHOICE) == (2, RecallEffect.UNSEEN)


def test_a_first_visit_is_drawn_like_any_other() -> None:
    of = weighted([(1, 10), (2, 30)])
    by = recall(Bind.OFFER, Rotation.UNSEEN)
    for draw in range(100):
        for choice in (PATH_CHOICE, LANDING_CHOICE, OFFER_CHOICE):
            assert chosen(of, by, choice, draw) == (of.choose(draw, choice), None)


def test_only_what_the_campaign_uses_is_remembered() -> None:
    shown = (Shown(PATH_CHOICE, 1, (1, 2)), Shown(LANDING_CHOICE, 3, (3, 4)), Shown(OFFER_CHOICE, 5, (5, 6)))
    assert recall(Bind.PATH).after(shown) == Memory((1,), 3, 5)
    assert recall(rotation=Rotation.UNSEEN).after(shown) == Memory(
        seen_paths=(1,), seen_landings=(3,), seen_offers=(5,)
    )


def test_a_visit_without_a_landing_click_keeps_the_offer_of_the_one_before() -> None:
    memory = recall(Bind.OFFER, memory=Memory((1,), 3, 5)).after([Shown(PATH_CHOICE, 2, (1, 2))])
    assert memory == Memory((2,), 3, 5)


def test_a_route_through_several_flows_remembers_a_path_of_each() -> None:
    shown = (Shown(PATH_CHOICE, 1, (1, 2)), Shown(PATH_CHOICE, 8, (8, 9)))
    by = recall(Bind.PATH, memory=recall(Bind.PATH).after(shown))
    assert chosen(items(1, 2), by, PATH_CHOICE)[0] == 1
    assert chosen(items(8, 9), by, PATH_CHOICE)[0] == 8


def test_the_memory_is_bounded_and_forgets_the_oldest() -> None:
    among = tuple(range(1, 201))
    memory = Memory()
    for offer_id in among:
        memory = recall(rotation=Rotation.UNSEEN, memory=memory).after([Shown(OFFER_CHOICE, offer_id, among)])
    assert memory.seen_offers == tuple(range(200, 200 - MAX_SEEN, -1))


def test_2000_visitors_see_what_a_slow_model_says() -> None:
    chance = random.Random(20261201)
    effects = Counter[RecallEffect | None]()
    for _ in range(2_000):
        bind, rotation = chance.choice(list(Bind)), chance.choice(list(Rotation))
        memory, history = Memory(), SlowVisitor(bind, rotation)
        for _ in range(8):
            flow = {
                choice: [(one, chance.randint(1, 9)) for one in chance.sample(range(1, 7), chance.randint(1, 5))]
                for choice in (PATH_CHOICE, LANDING_CHOICE, OFFER_CHOICE)
            }
            draw = chance.getrandbits(63)
            by = recall(bind, rotation, memory)
            shown = []
            for choice, shares in flow.items():
                found, effect = chosen(weighted(shares), by, choice, draw)
                pool = history.pool(choice, dict(shares))
                assert found == weighted((one, weight) for one, weight in shares if one in pool).choose(draw, choice)
                assert found is not None
                shown.append(Shown(choice, found, tuple(one for one, _ in shares)))
                effects[effect] += 1
                if rotation is Rotation.UNSEEN or bind is not Bind.NONE:
                    again = read_recall(recall_text(by), same) or recall(bind, rotation)
                    assert chosen(weighted(shares), again, choice, draw) == (found, effect)
            history.saw({one.choice: (one.id, set(one.among)) for one in shown})
            memory = by.after(shown)
    assert min(effects[effect] for effect in (*RecallEffect, None)) > 500


class SlowVisitor:
    """A visitor's history, spelled out."""

    def __init__(self, bind: Bind, rotation: Rotation) -> None:
        order = [Bind.PATH, Bind.LANDING, Bind.OFFER]
        self.bound = {choice for choice in (1, 2, 3) if bind in order[choice - 1 :]}
        self.rotates = rotation is Rotation.UNSEEN
        self.last: dict[int, int] = {}
        self.unrepeated: dict[int, set[int]] = {1: set(), 2: set(), 3: set()}

    def pool(self, choice: int, served: dict[int, int]) -> set[int]:
        """Return what the visitor may get."""
        if choice in self.bound and self.last.get(choice) in served:
            return {self.last[choice]}
        fresh = set(served) - self.unrepeated[choice] if self.rotates else set()
        return fresh or set(served)

    def saw(self, shown: dict[int, tuple[int, set[int]]]) -> None:
        for choice, (number, among) in shown.items():
            self.last[choice] = number
            if number in self.unrepeated[choice] and among <= self.unrepeated[choice]:
                self.unrepeated[choice] -= among
            self.unrepeated[choice].add(number)


def test_the_text_of_a_click_has_only_what_its_route_used() -> None:
    memory = Memory((12, 34), 3, 7, (12,), (3, 4), (7, 8))
    assert recall_text(recall(Bind.LANDING, Rotation.UNSEEN, memory)) == "landing;unseen;12,34;3;;12;3,4;7,8"
    assert recall_text(recall(Bind.PATH, Rotation.RANDOM, memory)) == "path;random;12,34;;;;;"
    assert recall_text(recall(Bind.NONE, Rotation.UNSEEN, memory)) == "none;unseen;;;;12;3,4;7,8"
    assert recall_text(recall(Bind.OFFER, Rotation.UNSEEN)) == ""


def test_the_text_is_read_as_it_was_used() -> None:
    used = recall(Bind.OFFER, Rotation.UNSEEN, Memory((12, 34), 3, 7, (12,), (3, 4), (7, 8)))
    assert read_recall(recall_text(used), same) == used


@pytest.mark.parametrize(
    "text", ["", "path", "path;unseen;1;2", "other;unseen;;;;;;", "path;other;;;;;;", "path;unseen" + ";" * 9]
)
def test_a_damaged_text_is_no_memory(text: str) -> None:
    assert read_recall(text, same) is None


@pytest.mark.parametrize("ids", ["x", "-1", "1e3", "٣", "9" * 40])
def test_ids_that_are_no_numbers_are_ignored(ids: str) -> None:
    found = read_recall(f"path;unseen;{ids},5;;;;;", same)
    assert found is not None
    assert found.memory == replace(Memory(), paths=(5,))


def test_a_path_without_landings_and_offers_is_a_choice_like_any_other() -> None:
    nothing: Weighted[int] = Weighted((), ())
    path = ReadyPath(1, "url", nothing, nothing, 5)  # type: ignore[arg-type]
    assert path.choose(1, recall(Bind.OFFER, Rotation.UNSEEN, Memory((1,), 2, 3))) == 5
