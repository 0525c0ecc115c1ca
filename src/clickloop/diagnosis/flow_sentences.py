"""A flow in plain English: rule by rule, with what happens to visitors whose values are unknown. Pure.

"Visitors from the United States or Canada on Android: 60% to “Offer A”, 40% to “Offer B”. Visitors whose country is unknown go on to
the next rule."
"""

from collections.abc import Mapping, Sequence

import msgspec

from clickloop.diagnosis.condition_phrases import (
    MAX_LISTED,
    FlowNames,
    can_be_unknown,
    condition_phrase,
    joined,
    shortened,
    unknown_phrase,
)
from clickloop.learning.sentences import GOALS
from clickloop.setup.condition import Operator
from clickloop.setup.flow import FlowParts, LandingShare, OfferShare, Path, PathTarget, Rule
from clickloop.setup.learning import Goal, Learning

FALLBACK = "the fallback URL"


class FlowReading(msgspec.Struct, frozen=True):
    """A flow in words: a text per rule, and one for everyone else."""

    rules: tuple[str, ...]
    default: str


def flow_sentences(parts: FlowParts, names: FlowNames) -> FlowReading:
    """Return the sentences of a flow."""
    rules = tuple(
        rule_sentences(rule, names, is_last=not any(later.active for later in parts.rules[number + 1 :]))
        for number, rule in enumerate(parts.rules)
    )
    has_rules = any(rule.active for rule in parts.rules)
    everybody = "Everyone else" if has_rules else "All visitors"
    return FlowReading(rules, f"{everybody}: {paths_phrase(parts.default_paths, names)}.")


def rule_sentences(rule: Rule, names: FlowNames, *, is_last: bool = False) -> str:
    """Return the sentences of a rule. ``is_last``: no active rule follows, so other visitors take the default paths."""
    sentences = [f"{visitors_phrase(rule, names)}: {paths_phrase(rule.paths, names)}."]
    if not rule.active:
        sentences.insert(0, "Off.")
    return " ".join([*sentences, *unknown_sentences(rule, names, is_last=is_last)])


def visitors_phrase(rule: Rule, names: FlowNames) -> str:
    """Return the visitors that a rule takes: ``Visitors from Germany on phones whose Zone (V1) is 77``."""
    phrases = [condition_phrase(condition, names) for condition in rule.conditions]
    near = [phrase for phrase in phrases if not phrase.startswith(("whose ", "without "))]
    clauses = [phrase for phrase in phrases if phrase.startswith(("whose ", "without "))]
    if not phrases:
        return "All visitors"
    words = " ".join(near) if len(near) <= 2 else ", ".join(near)
    return " ".join(part for part in ("Visitors", words, " and ".join(clauses)) if part)


def unknown_sentences(rule: Rule, names: FlowNames, *, is_last: bool = False) -> list[str]:
    """Return what happens to visitors whose value is unknown, for conditions on fields that can be unknown."""
    checked = [one for one in rule.conditions if one.op is not Operator.EMPTY and can_be_unknown(one.field)]
    passed_on = [one.field for one in checked if not one.holds_for_unknown]
    included = [one.field for one in checked if one.holds_for_unknown and one.field not in passed_on]
    sentences = []
    if passed_on:
        way = "take the default paths" if is_last else "go on to the next rule"
        sentences.append(f"Visitors {unknown_phrase(passed_on, names)} {way}.")
    if included:
        sentences.append(f"Visitors {unknown_phrase(included, names)} count as a match.")
    return sentences


def paths_phrase(paths: Sequence[Path], names: FlowNames) -> str:
    """Return where paths lead, with the share of each: ``60% to “A”, 40% to “B”``."""
    open_paths = [path for path in paths if path.active and path.weight > 0]
    if not open_paths:
        why = "there is no path" if not paths else "every path is off or has the weight 0"
        return f"to {FALLBACK}, because {why}"
    if len(open_paths) == 1 and open_paths[0].target is PathTarget.OFFER:
        ways = _offer_ways(open_paths[0].offers, names)
        if open_paths[0].learning is not None:
            return f"to {_choice(ways, open_paths[0].learning)}"
    else:
        whole = sum(path.weight for path in open_paths)
        ways = [(path.weight / whole, _destination(path, names)) for path in open_paths]
    if len(ways) == 1:
        return f"to {ways[0][1]}"
    shown = ways[:MAX_LISTED] if len(ways) > MAX_LISTED + 1 else ways
    words = [f"{percent(share)} to {where}" for share, where in shown]
    if len(ways) > len(shown):
        words.append(f"{percent(sum(share for share, _ in ways[len(shown) :]))} to {len(ways) - len(shown)} others")
    return ", ".join(words)


def _offer_ways(offers: Sequence[OfferShare], names: FlowNames) -> list[tuple[float, str]]:
    whole = sum(offer.weight for offer in offers)
    if whole <= 0:
        why = "every offer has the weight 0" if offers else "no offer is chosen"
        return [(1.0, f"{FALLBACK}, because {why}")]
    return [
        (offer.weight / whole, _quoted(names.offers, offer.offer_id, "offer")) for offer in offers if offer.weight > 0
    ]


def _destination(path: Path, names: FlowNames) -> str:
    match path.target:
        case PathTarget.OFFER:
            return _choice(_offer_ways(path.offers, names), path.learning)
        case PathTarget.LANDING_AND_OFFER:
            landings = _landing_ways(path.landings, names)
            if not landings:
                why = "every landing has the weight 0" if path.landings else "no landing is chosen"
                return f"{FALLBACK}, because {why}"
            of_offers = None if path.learning and path.learning.goal is Goal.LANDING_CTR else path.learning
            word = "the landing" if len(landings) == 1 else "the landings"
            return (
                f"{word} {_choice(landings, path.learning)}, then {_choice(_offer_ways(path.offers, names), of_offers)}"
            )
        case PathTarget.URL:
            return shortened(path.url) or FALLBACK
        case PathTarget.CAMPAIGN:
            return f"the campaign {_quoted(names.campaigns, path.campaign_id or 0, 'campaign')}"
        case PathTarget.NOTHING:
            return "a 404 page"


def _landing_ways(landings: Sequence[LandingShare], names: FlowNames) -> list[tuple[float, str]]:
    whole = sum(landing.weight for landing in landings)
    return [
        (landing.weight / whole, _quoted(names.landings, landing.landing_id, "landing"))
        for landing in landings
        if landing.weight > 0
    ]


def _choice(ways: Sequence[tuple[float, str]], learning: Learning | None) -> str:
    if len(ways) == 1:
        return ways[0][1]
    shown = ways[:MAX_LISTED] if len(ways) > MAX_LISTED + 1 else ways
    # The user's weights would tell where visitors went before there was evidence.
    words = [f"{where} ({percent(share)})" if learning is None else where for share, where in shown]
    if len(ways) > len(shown):
        words.append(f"{len(ways) - len(shown)} others")
    text = joined(words, "or")
    return text if learning is None else f"{text} (learning: {GOALS[learning.goal]})"


def _quoted(names: Mapping[int, str], number: int, noun: str) -> str:
    name = names.get(number)
    return f"{noun} {number}" if name is None else f"“{shortened(name)}”"


def percent(share: float) -> str:
    """Return a share such as ``60%``, ``33.3%`` or ``<0.1%``."""
    if 0 < share < 0.0005:
        return "<0.1%"
    return f"{100 * share:.1f}".removesuffix(".0") + "%"
