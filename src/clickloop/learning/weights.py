"""Integer weights from shares, with a least share for each. Pure."""

from collections.abc import Sequence

WHOLE = 1_000
"""Sum of the weights of a path's landings or offers."""


def weights_of(won: Sequence[int], least_share: int) -> list[int]:
    """Return weights that sum to ``WHOLE``, proportional to ``won`` except that none is below the least share, in percent.

    If all of them together do not fit, each gets the same.
    """
    count = len(won)
    if not count:
        return []
    least = min(least_share * WHOLE // 100, WHOLE // count)
    raised: set[int] = set()
    while True:
        rest = [place for place in range(count) if place not in raised]
        left, total = WHOLE - least * len(raised), sum(won[place] for place in rest)
        exact = {place: left * won[place] / total if total else left / len(rest) for place in rest}
        # Raising some takes from the others, which may then be below the least share themselves.
        too_low = {place for place in rest if exact[place] < least}
        if not too_low or too_low == set(rest):
            break
        raised |= too_low
    weights = [least if place in raised else int(exact[place]) for place in range(count)]
    return _filled_up(weights, exact)


def _filled_up(weights: list[int], exact: dict[int, float]) -> list[int]:
    """Return weights whose sum is ``WHOLE``: what rounding left over goes to the largest remainders."""
    order = sorted(exact, key=lambda place: (int(exact[place]) - exact[place], place))
    missing = WHOLE - sum(weights)
    for number in range(missing):
        weights[order[number % len(order)]] += 1
    return weights
