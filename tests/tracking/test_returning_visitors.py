"""Visitors who return to campaigns with bind or rotation, by their cookie alone, against a slow model that shares no code with it."""

import random
from collections import Counter

import pytest
from msgspec.structs import replace

from clickloop.click.click import Click
from clickloop.click.routing.recall import MAX_SEEN
from clickloop.click.routing.routes import Routes
from clickloop.diagnosis.condition_phrases import FlowNames
from clickloop.diagnosis.route.explained import RecallPart, RouteExplanation
from clickloop.diagnosis.route.explaining import FlowContext, FlowInForce
from clickloop.diagnosis.route.recorded import KeptValues, explain_click
from clickloop.setup.catalog import Catalog, CatalogFlow, CatalogLanding, CatalogOffer
from clickloop.setup.condition import Condition
from clickloop.setup.flow import FlowParts, LandingShare, OfferShare, Path, PathTarget, Rule
from clickloop.setup.returning import Bind, Rotation
from clickloop.tracking.take import take_click
from tests.landings import CAMPAIGN, FALLBACK, KEY, OTHER_KEY
from tests.tracking.landing_edge import LandingEdge, Visitor, site

DAY = 86_400


def landing_path(number: int, landings: tuple[int, ...], offers: tuple[int, ...], **more: object) -> Path:
    path = Path(
        id=number,
        target=PathTarget.LANDING_AND_OFFER,
        landings=tuple(map(LandingShare, landings)),
        offers=tuple(map(OfferShare, offers)),
    )
    return replace(path, **more)


def offer_path(number: int, offers: tuple[int, ...], **more: object) -> Path:
    return replace(Path(id=number, offers=tuple(map(OfferShare, offers))), **more)


PATHS = (
    landing_path(21, (1, 2, 3), (11, 12, 13), weight=70),
    offer_path(22, (11, 12, 13, 14), weight=50),
    landing_path(23, (1, 2), (13, 14), weight=30),
    Path(id=24, target=PathTarget.CAMPAIGN, campaign_id=8, weight=40),
)
RULE = Rule(
    id=31,
    conditions=(Condition(field="v1", values=("a",)),),
    paths=(offer_path(32, (11, 15)), landing_path(33, (2, 3), (15, 16))),
)
OTHER_PATHS = (offer_path(41, (17, 18)), landing_path(42, (4, 5), (17, 18, 19)))


def catalog(paths: tuple[Path, ...] = PATHS, rules: tuple[Rule, ...] = (RULE,), **campaign: object) -> Catalog:
    """Return a set-up with a rule, and a path that leads to another campaign."""
    return Catalog(
        campaigns=(replace(CAMPAIGN, **campaign), replace(CAMPAIGN, id=8, key=OTHER_KEY, flow_id=10)),
        offers=tuple(
            CatalogOffer(n, f"Offer {n}", f"https://offer{n}.example/?s={{clickid}}", 5, "Network")
            for n in range(11, 20)
        ),
        landings=tuple(CatalogLanding(n, f"Landing {n}", f"https://landing{n}.example/") for n in range(1, 6)),
        flows=(
            CatalogFlow(9, 1, FlowParts(rules=rules, default_paths=paths)),
            CatalogFlow(10, 1, FlowParts(default_paths=OTHER_PATHS)),
        ),
    )


def explained(of: Catalog, click: Click) -> RouteExplanation:
    """Return a click's route, explained."""
    flows = {
        (flow.id, flow.version): FlowInForce(flow_id=flow.id, version=flow.version, name="", parts=flow.parts)
        for flow in of.flows
    }
    names = FlowNames(
        offers={offer.id: offer.name for offer in of.offers},
        landings={landing.id: landing.name for landing in of.landings},
    )
    context = FlowContext(lists={}, names=names, why_not=Routes(of, FALLBACK).why_not_served)
    return explain_click(click, flows, context, KeptValues(rows={"zone": "v1"}))


class SlowHistory:
    """What one visitor saw, spelled out."""

    def __init__(self, bind: Bind, rotation: Rotation) -> None:
        order = [Bind.PATH, Bind.LANDING, Bind.OFFER]
        self.bound = {
            kind
            for kind, until in zip(("path", "landing", "offer"), order, strict=True)
            if bind in order[order.index(until) :]
        }
        self.rotates = rotation is Rotation.UNSEEN
        self.since: int | None = None
        self.epoch = 0
        self.forget()

    def forget(self) -> None:
        self.last: dict[str, set[int]] = {}
        self.seen: dict[str, set[int]] = {"path": set(), "landing": set(), "offer": set()}

    def arrives(self, now: int, window: int, epoch: int) -> None:
        if self.since is None or self.epoch < epoch or (window and now - self.since >= window):
            self.forget()
            self.since, self.epoch = now, epoch

    def checks(self, kind: str, got: int, served: set[int]) -> str:
        """Check that the visitor could get this, and return how the history mattered."""
        assert got in served
        kept = self.last.get(kind, set()) & served if kind in self.bound else set()
        fresh = served - self.seen[kind] if self.rotates else served
        assert got in (kept or fresh or served)
        return "same" if kept else "unseen" if fresh < served else "free"

    def shown(self, kind: str, got: int, served: set[int]) -> None:
        if got in self.seen[kind] and served <= self.seen[kind]:
            self.seen[kind] -= served
        self.seen[kind].add(got)


def served_by(path: Path) -> tuple[set[int], set[int]]:
    return {one.landing_id for one in path.landings if one.weight}, {one.offer_id for one in path.offers if one.weight}


@pytest.mark.parametrize("bind", list(Bind))
@pytest.mark.parametrize("rotation", list(Rotation))
def test_random_visits_lead_where_a_slow_model_allows_and_can_be_replayed(bind: Bind, rotation: Rotation) -> None:
    chance = random.Random(f"{bind} {rotation}")
    counts = Counter[str]()
    for _ in range(40):
        window = chance.choice([0, DAY, DAY])
        epoch = 0
        setup = catalog(bind=bind, rotation=rotation, unique_within_seconds=window)
        at = LandingEdge(setup)
        visitor, history = Visitor(at), SlowHistory(bind, rotation)
        for _ in range(12):
            at.now += chance.choice([1_000, 3_600_000, 30_000_000, 100_000_000])
            if chance.random() < 0.1:
                epoch += 1
            if chance.random() < 0.2:
                paths = tuple(replace(path, active=chance.random() < 0.8) for path in PATHS)
                setup = catalog(paths, bind=bind, rotation=rotation, unique_within_seconds=window, unique_epoch=epoch)
                at.publish(setup)
            else:
                setup = replace(
                    setup, campaigns=(replace(setup.campaigns[0], unique_epoch=epoch), *setup.campaigns[1:])
                )
                at.publish(setup)
            cid = visitor.visit(b"zone=" + chance.choice([b"a", b"b"]))
            click = at.recorded_clicks()[-1]
            assert explained(setup, click).agrees
            history.arrives(at.now // 1000, window, epoch)
            counts.update(check_visit(history, setup, click))
            if click.landing_id and chance.random() < 0.7:
                counts.update(check_press(history, setup, click, visitor, cid, chance.choice(["", "", "/2"])))
    if bind is not Bind.NONE:
        assert counts["same"] > 50
    if rotation is Rotation.UNSEEN:
        assert counts["unseen"] > 50


def check_visit(history: SlowHistory, setup: Catalog, click: Click) -> list[str]:
    """Check a click against the history, and add what was shown."""
    found: list[str] = []
    taken: set[int] = set()
    hops = [int(hop.split(":")[3]) for hop in click.hops.split(",") if hop]
    ways = [(setup.flows[0].parts, hops[0] if hops else click.path_id)]
    if hops:
        ways.append((setup.flows[1].parts, click.path_id))
    for parts, path_id in ways:
        rules = [rule for rule in parts.rules if rule.id == RULE.id and click.v1 == "a"]
        paths = {path.id: path for path in (rules[0].paths if rules else parts.default_paths) if path.active}
        if not paths:
            assert not path_id
            return found
        found.append(history.checks("path", path_id, set(paths)))
        history.shown("path", path_id, set(paths))
        taken.add(path_id)
        landings, offers = served_by(paths[path_id])
    if landings:
        found.append(history.checks("landing", click.landing_id, landings))
        history.shown("landing", click.landing_id, landings)
        history.last["landing"] = {click.landing_id}
    else:
        found.append(history.checks("offer", click.offer_id, offers))
        history.shown("offer", click.offer_id, offers)
        history.last["offer"] = {click.offer_id}
    history.last["path"] = taken
    return found


def check_press(
    history: SlowHistory, setup: Catalog, click: Click, visitor: Visitor, cid: str, button: str
) -> list[str]:
    """Press a button, and check the offer against the history."""
    path = next(path for flow in setup.flows for _, path in flow.parts.paths() if path.id == click.path_id)
    _, offers = served_by(path)
    gone = visitor.press(cid=cid, button=button)
    offer_id = int(site(gone).removeprefix("offer").removesuffix(".example"))
    found = [] if button else [history.checks("offer", offer_id, offers)]
    assert not button or offer_id == path.offers[1].offer_id
    history.shown("offer", offer_id, offers)
    history.last["offer"] = {offer_id}
    return found


def bound(bind: Bind = Bind.OFFER) -> LandingEdge:
    return LandingEdge(catalog(bind=bind))


def test_the_landing_click_of_a_bound_visitor_leads_to_their_offer_and_says_so() -> None:
    at = bound()
    visitor = Visitor(at)
    at.publish(catalog(PATHS[:1], bind=Bind.OFFER))
    first = site(visitor.press(cid=visitor.visit()))
    for _ in range(20):
        assert site(visitor.press(cid=visitor.visit())) == first
    flags = [event.flags for event in at.recorded_events()]
    assert flags == ["", *["same_offer"] * 20]


def test_an_offer_behind_a_landing_counts_as_seen_only_when_the_button_was_pressed() -> None:
    at = LandingEdge(catalog(PATHS[:1], rotation=Rotation.UNSEEN))
    visitor = Visitor(at)
    for _ in range(5):
        visitor.visit()
    assert {site(visitor.press(cid=visitor.visit())) for _ in range(3)} == {f"offer{n}.example" for n in (11, 12, 13)}
    assert [event.flags for event in at.recorded_events()] == ["", "unseen_offer", "unseen_offer"]


def test_the_first_visit_stores_nothing_and_the_next_what_the_cookie_remembered() -> None:
    at = bound(Bind.PATH)
    visitor = Visitor(at)
    for _ in range(2):
        visitor.visit(b"zone=a")
    first, second = at.recorded_clicks()
    assert first.seen == ""
    assert second.seen == f"path;random;{first.path_id};;;;;"


def test_a_bound_route_is_explained_after_the_campaign_was_edited() -> None:
    at = bound(Bind.LANDING)
    visitor = Visitor(at)
    for _ in range(2):
        visitor.visit(b"zone=a")
    click = at.recorded_clicks()[-1]
    route = explained(catalog(bind=Bind.NONE), click)
    assert route.agrees
    sentences = [one.sentence for one in route.flows[-1].recalls]
    assert sentences[0] == "Returning visitor: same path as on their previous visit."
    assert all(share.share.percent == (100 if share.share.chosen else 0) for share in route.flows[-1].paths)


def test_an_unseen_landing_is_explained_by_the_one_that_was_seen() -> None:
    at = LandingEdge(catalog((landing_path(21, (1, 2), (11,)),), rotation=Rotation.UNSEEN))
    visitor = Visitor(at)
    for _ in range(3):
        visitor.visit()
    first, second, third = at.recorded_clicks()
    one, other = f"Landing {first.landing_id}", f"Landing {second.landing_id}"
    assert {first.landing_id, second.landing_id} == {1, 2}
    assert sentences_of(second) == [f"Returning visitor: landing {one} was seen, so {other}."]
    assert sentences_of(third) == [
        "Returning visitor: they had seen every landing here, so all of them were in the choice again."
    ]


def sentences_of(click: Click) -> list[str]:
    route = explained(catalog((landing_path(21, (1, 2), (11,)),)), click)
    return [one.sentence for one in route.flows[-1].recalls if one.part is RecallPart.LANDING]


def test_what_the_cookie_remembers_beyond_the_window_or_the_epoch_does_not_count() -> None:
    at = bound(Bind.PATH)
    visitor = Visitor(at)
    visitor.visit()
    at.now += (DAY - 1) * 1000
    visitor.visit()
    at.now += 1000
    visitor.visit()
    visitor.visit()
    at.publish(catalog(bind=Bind.PATH, unique_epoch=1))
    visitor.visit()
    assert [bool(click.seen) for click in at.recorded_clicks()] == [False, True, False, True, False]


def test_without_a_cookie_every_visit_is_drawn() -> None:
    at = bound()
    visitor = Visitor(at, keeps_cookies=False)
    for _ in range(30):
        visitor.visit()
    clicks = at.recorded_clicks()
    assert {click.seen for click in clicks} == {""}
    assert len({click.path_id for click in clicks}) > 1


def test_a_prefetch_shows_the_visitor_nothing() -> None:
    at = LandingEdge(catalog((offer_path(22, (11, 12)),), rotation=Rotation.UNSEEN))
    visitor = Visitor(at)
    visitor.visit()
    before = dict(visitor.cookies)
    take_click(at.edge, visitor.request(b"/c/", b"", purpose=b"prefetch"), KEY.encode())
    visitor.cookies = before
    visitor.visit()
    first, _, third = at.recorded_clicks()
    assert {first.offer_id, third.offer_id} == {11, 12}


def test_campaigns_without_bind_and_rotation_remember_nothing() -> None:
    at = LandingEdge(catalog())
    visitor = Visitor(at)
    for _ in range(3):
        visitor.press(cid=visitor.visit())
    state = at.edge.cookies.read(visitor.cookies["clickloop_v"])
    assert {seen.memory for seen in state.campaigns} == {None}
    assert {click.seen for click in at.recorded_clicks()} == {""}


def test_memories_are_bounded_and_never_displace_what_makes_a_visitor_known() -> None:
    ids = tuple(range(1_000_000, 1_000_040))
    paths = tuple(offer_path(number, ids) for number in range(500_000, 500_040))
    offers = tuple(CatalogOffer(n, "", f"https://offer{n}.example/", 5, "") for n in ids)
    campaigns = tuple(replace(CAMPAIGN, id=n, key=f"Key{n:03}", rotation=Rotation.UNSEEN) for n in range(100, 130))
    flows = (CatalogFlow(9, 1, FlowParts(default_paths=paths)),)
    at = LandingEdge(Catalog(campaigns=campaigns, offers=offers, flows=flows))
    visitor = Visitor(at)
    for turn in range(33 * len(campaigns)):
        visitor.visit(key=campaigns[turn // 33].key)
    value = visitor.cookies["clickloop_v"]
    seen = at.edge.cookies.read(value).campaigns
    assert len(value) <= 2000
    assert len(seen) == len(campaigns)
    assert seen[0].memory is not None
    assert len(seen[0].memory.seen_offers) == MAX_SEEN
    assert [one.memory is not None for one in seen] == sorted((one.memory is not None for one in seen), reverse=True)


def test_only_campaigns_that_remember_visitors_give_up_the_shortcut_of_simple_flows() -> None:
    paths = (offer_path(22, (11, 12)),)
    plain, bound_one = (
        Routes(catalog(paths, (), bind=bind), FALLBACK).find(KEY.encode()) for bind in (Bind.NONE, Bind.PATH)
    )
    assert plain is not None
    assert bound_one is not None
    assert (plain.simple is not None, plain.remembers) == (True, False)
    assert (bound_one.simple is not None, bound_one.remembers) == (False, True)
