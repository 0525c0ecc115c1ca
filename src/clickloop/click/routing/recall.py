"""What a campaign remembers of a returning visitor, and how it affects their route. Pure.

The memory is in the visitor's signed cookie. A click stores what was used of it, so that its route can be explained and replayed.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Generic, TypeVar

import msgspec

from clickloop.explained import Explained
from clickloop.setup.returning import Bind, Rotation

Item = TypeVar("Item")

PATH_CHOICE, LANDING_CHOICE, OFFER_CHOICE = 1, 2, 3
"""What is chosen; also numbers a draw's sub-draws."""
MAX_SEEN = 30  # of each kind: more would displace the visitor's other campaigns from the cookie
_MAX_DIGITS = 18


class Memory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a visitor was shown in a campaign within its uniqueness window.

    ``paths``: those of the previous visit, one per flow that it passed through. ``landing_id``, ``offer_id``: the latest; 0 for none.
    ``seen_…``: latest first, at most ``MAX_SEEN``.
    """

    paths: tuple[int, ...] = ()
    landing_id: int = 0
    offer_id: int = 0
    seen_paths: tuple[int, ...] = ()
    seen_landings: tuple[int, ...] = ()
    seen_offers: tuple[int, ...] = ()


NO_MEMORY = Memory()


class Shown(msgspec.Struct, frozen=True, gc=False):
    """A path, landing or offer that a visitor gets. ``among``: what it was chosen among, itself included."""

    choice: int
    id: int
    among: tuple[int, ...]


class RecallEffect(Explained):
    """How a choice depended on the visitor's previous visits."""

    SAME = "same", "The visitor got the same again."
    NOT_AGAIN = "not_again", "What the visitor got before is not served here, so the choice was made by weight."
    UNSEEN = "unseen", "What the visitor had seen was left out."
    ALL_SEEN = "all_seen", "The visitor had seen everything here, so all of it was in the choice again."


class Recall(msgspec.Struct, Generic[Item], frozen=True, gc=False):
    """How a campaign treats returning visitors, and what the cookie of one of them remembers. ``id_of``: the id of a landing or offer."""

    bind: Bind
    rotation: Rotation
    id_of: Callable[[Item], int]
    memory: Memory = NO_MEMORY

    def again(self, choice: int) -> tuple[int, ...]:
        """Return the ids of which the visitor gets one again, if it is served."""
        memory = self.memory
        if choice == PATH_CHOICE:
            return () if self.bind is Bind.NONE else memory.paths
        if choice == LANDING_CHOICE:
            return (memory.landing_id,) if self.bind in _BINDS_LANDING and memory.landing_id else ()
        return (memory.offer_id,) if self.bind is Bind.OFFER and memory.offer_id else ()

    def seen(self, choice: int) -> tuple[int, ...]:
        """Return the ids that are left out while there are others."""
        if self.rotation is not Rotation.UNSEEN:
            return ()
        memory = self.memory
        return (memory.seen_paths, memory.seen_landings, memory.seen_offers)[choice - 1]

    def after(self, shown: Iterable[Shown]) -> Memory:
        """Return the memory after the visitor was shown something."""
        memory = self.memory
        seen = [memory.seen_paths, memory.seen_landings, memory.seen_offers]
        last: dict[int, tuple[int, ...]] = {}
        for one in shown:
            last[one.choice] = (*last.get(one.choice, ()), one.id)
            if self.rotation is Rotation.UNSEEN:
                seen[one.choice - 1] = _noted(seen[one.choice - 1], one)
        if self.bind is Bind.NONE:
            last = {}
        return Memory(
            last.get(PATH_CHOICE, memory.paths),
            last.get(LANDING_CHOICE, (memory.landing_id,))[-1],
            last.get(OFFER_CHOICE, (memory.offer_id,))[-1],
            *seen,
        )


_BINDS_LANDING = (Bind.LANDING, Bind.OFFER)
_CHOICES = (PATH_CHOICE, LANDING_CHOICE, OFFER_CHOICE)


def _noted(seen: tuple[int, ...], shown: Shown) -> tuple[int, ...]:
    """Return the seen ids with one added. If all that it was chosen among were seen, a new round of them begins."""
    left: Collection[int] = seen
    if shown.id in seen and all(one in seen for one in shown.among):
        left = [one for one in seen if one not in shown.among]
    return (shown.id, *(one for one in left if one != shown.id))[:MAX_SEEN]


def recall_text(recall: Recall[Item]) -> str:
    """Return what a route used of a memory, in the form of ``Click.seen``: ``path;unseen;12;;;12,15;3;``. Empty for nothing."""
    used = [*map(recall.again, _CHOICES), *map(recall.seen, _CHOICES)]
    texts = [",".join(map(str, ids)) if ids else "" for ids in used]
    return ";".join((recall.bind, recall.rotation, *texts)) if any(texts) else ""


def read_recall(text: str, id_of: Callable[[Item], int]) -> Recall[Item] | None:
    """Return a recall from the text of ``recall_text``; None if it is empty or damaged."""
    parts = text.split(";") if text else []
    if len(parts) != 2 + 2 * len(_CHOICES):
        return None
    try:
        bind, rotation = Bind(parts[0]), Rotation(parts[1])
    except ValueError:
        return None
    paths, landings, offers, *seen = (_ids(part) for part in parts[2:])
    return Recall(bind, rotation, id_of, Memory(paths, next(iter(landings), 0), next(iter(offers), 0), *seen))


def _ids(text: str) -> tuple[int, ...]:
    parts = text.split(",")[: MAX_SEEN * 2] if text else ()
    return tuple(int(part) for part in parts if part.isascii() and part.isdecimal() and len(part) <= _MAX_DIGITS)
