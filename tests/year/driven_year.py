"""Drives a year through a real tracker – journal, settling, cost, reruns of marks – and tells a plain model what happened."""

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from clickloop.click.click import Click
from clickloop.click.page.page_event import PageEvent, PageEventKind
from clickloop.config import Settings
from clickloop.conversion.notice import Channel, RawNotice
from clickloop.setup.instance import startup_settings
from clickloop.setup.mark import Mark
from clickloop.store.export_files import ExportFiles
from clickloop.store.journal.reader import JournalReader
from clickloop.store.journal.segment import PAGE_EVENTS_STREAM
from clickloop.store.journal.writer import JournalWriter
from clickloop.store.ledger.logs.audit_entry import ActorContext
from clickloop.store.upload_files import UploadFiles
from clickloop.tracking.click_progress import LandingClicks
from clickloop.tracking.costs.working import CostWorker
from clickloop.tracking.jobs.context import JobContext
from clickloop.tracking.marks.rerun_work import MarkRerunWorker
from clickloop.tracking.marks.reruns import RerunOrder, apply_mark_rerun, start_mark_rerun, undo_mark_rerun
from clickloop.tracking.marks.rules import MarkRules
from clickloop.tracking.notices import Intake
from clickloop.tracking.pages.settling_page_events import settle_page_events
from clickloop.tracking.settle import settle_clicks, settle_facts, settle_notices
from clickloop.web.site import create_site
from tests.web.conftest import SECRET, Instance
from tests.year.driven_costs import CURRENCIES, FIRST_DAY, ROUND_DAYS, DrivenCosts
from tests.year.plain_year import PlainClick, PlainConversion, PlainPageEvent, PlainYear, published_rates

START = int(datetime(2025, 3, 1, tzinfo=UTC).timestamp()) * 1000
DAY_MS = 86_400_000
ROUNDS = 26
ROUND_MS = ROUND_DAYS * DAY_MS
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
WORDS = {"approved": "sale", "lead": "hold", "trash": "rejected", "gibberish": "other"}
HOSTER, CARRIER = "24940", "1"
RATES = {"EUR": ("1.0823", "1.09", "1.1717"), "INR": ("0.0117", "0.012000000001"), "UAH": ("0.024",)}
"""UAH has no rate in the first half of the year; GBP has those of the European Central Bank alone."""
# Cost in the link, then of conversions: micros in EUR or a share in percent.
COST_RULES = {1: ("", 0, 0), 2: ("per_click;per_conversion 1500000 EUR sale", 1_500_000, 0)}
COST_RULES |= {3: ("", 0, 0), 4: ("per_click;revenue_share 35 - sale", 0, 35)}
LANDING_OF = {3: 1}
encode = msgspec.json.Encoder().encode


class DrivenYear:
    """A tracker during a year, two weeks at a time, and the plain model of what it was told."""

    def __init__(self, folder: Path, clicks: int, seed: int = 12) -> None:
        self.chance = random.Random(seed)
        self.clicks_of_round = clicks // ROUNDS
        self.instance = Instance(folder, create_site)
        self.instance.now = START
        self.plain = PlainYear()
        self.now = lambda: self.instance.now
        self.writers = {
            stream: JournalWriter.open(folder / "journal", stream, "edge1", self.now)
            for stream in ("clicks", PAGE_EVENTS_STREAM, "notices")
        }
        self.readers = [JournalReader(folder / "journal", folder / "settled", self.now) for _ in range(3)]
        ledger, facts = self.instance.ledger, self.instance.facts
        self.intake = Intake(
            ledger,
            facts,
            self.instance.click_ids,
            self.instance.context.record_ids,
            "USD",
            landing_clicks=LandingClicks(facts),
        )
        self.cost_worker = CostWorker(ledger, facts.costs, self.now)
        actor = ActorContext(ledger=ledger, clock=self.now)
        self.costs = DrivenCosts(actor, self.chance, self.plain)
        self.jobs = JobContext(
            ledger=ledger, clock=self.now, uploads=UploadFiles(folder / "up", 1), exports=ExportFiles(folder / "out")
        )
        self.rules = MarkRules(instance=startup_settings(Settings()), campaigns={})
        self.reruns = MarkRerunWorker(ledger, facts, lambda: self.rules, self.now)
        self.waiting: list[tuple[int, PlainClick, dict[str, str]]] = []
        """Notices to come: their time, click and parameters."""
        self.late: list[bytes] = []
        """Clicks that an edge holds back for two weeks."""

    def run(self) -> PlainYear:
        """Let the year pass, and return what happened."""
        with self.instance.api:
            self.instance.api.headers["authorization"] = f"Bearer {SECRET}"
            self._set_up()
        for number in range(ROUNDS):
            self._visits(number)
            self._settle(START + (number + 1) * ROUND_MS)
            self.costs.enter(number)
            self._work()
            self._marks(number)
        self._settle(int(datetime(2026, 2, 28, 12, tzinfo=UTC).timestamp()) * 1000)
        self.plain.settle()
        return self.plain

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()
        self.instance.facts.close()
        self.instance.ledger.close()

    def _set_up(self) -> None:
        instance = self.instance
        for names in (("zone", "site"), ("site", "zone")):
            rows = [{"parameter": name, "placeholder": f"{{{name}}}", "name": name.capitalize()} for name in names]
            source = {"name": f"Source {names[0]}", "parameters": [{"parameter": "external_id"}, *rows]}
            instance.made("traffic-sources", source)
        for number in (1, 2):
            instance.made("networks", {"name": f"Network {number}", "click_lifetime_days": 3_650})
        for number in range(1, 6):
            offer = {"name": f"Offer {number}", "network_id": 1 + number % 2, "url": "https://offer.example/"}
            instance.made("offers", offer)
        instance.made("landings", {"name": "Quiz", "url": "https://landing.example/"})
        for number in range(1, 5):
            campaign = {"name": f"Campaign {number}", "source_id": 1 + number % 2, "offers": [{"offer_id": number}]}
            instance.made("campaigns", campaign)
        rates = []
        for currency, values in RATES.items():
            for place, rate in enumerate(values):
                day = FIRST_DAY + timedelta(97 * place - 3 if currency != "UAH" else 200)
                rates.append({"currency": currency, "day": day.isoformat(), "rate": rate})
                whole, _, part = rate.partition(".")
                known = self.plain.rates.setdefault(currency, [])
                known.append(((day - date(1970, 1, 1)).days, int(whole + part.ljust(12, "0"))))
        self.plain.rates["GBP"] = published_rates("GBP")
        assert instance.api.post("/api/v1/rates", json={"rates": rates}).status_code < 300

    def _visits(self, number: int) -> None:
        spots = [START + (number * ROUND_MS) + self.chance.randrange(ROUND_MS) for _ in range(self.clicks_of_round)]
        end = START + (number + 1) * ROUND_MS
        for at in sorted(spots):
            click, line = self._visit(at)
            if self.chance.random() < 0.01:
                self.late.append(line)
            else:
                self.writers["clicks"].append(line)
                self._follow(click, end)

    def _visit(self, at: int) -> tuple[PlainClick, bytes]:
        pick, campaign = self.chance.choice, self.chance.choice((1, 1, 1, 2, 2, 3, 3, 4))
        landing = LANDING_OF.get(campaign, 0)
        offer = 0 if landing else self.chance.choice((campaign, 5))
        rule, fixed, share = COST_RULES[campaign]
        paid = self.chance.random() < 0.9
        cost, cost_currency = (self.chance.randrange(1, 40_000), pick(CURRENCIES)) if paid else (0, "")
        plain = PlainClick(
            click_id=self.instance.click_ids.new(at),
            at=at,
            campaign=campaign,
            source=1 + campaign % 2,
            offer=offer,
            network=1 + offer % 2 if offer else 0,
            landing=landing,
            country=pick(("DE", "DE", "US", "IN", "")),
            v1=pick(("a", "b", "B", "")),
            v2=pick(("x", "y")),
            unique=self.chance.random() < 0.8,
            screening=pick(("",) * 30 + ("crawler", "prefetch", "test")),
            marks=set(pick(((), (), (), ("datacenter",), ("repeat",)))),
            asn=pick((HOSTER, CARRIER, CARRIER)),
            cost=cost,
            cost_currency=cost_currency,
            per_conversion=fixed,
            share_percent=share,
        )
        self.plain.clicks[plain.click_id] = plain
        click = Click(
            click_id=plain.click_id,
            at=at,
            campaign_id=campaign,
            source_id=plain.source,
            offer_id=offer,
            network_id=plain.network,
            landing_id=landing,
            target="https://somewhere.example/",
            country=plain.country,
            v1=plain.v1,
            v2=plain.v2,
            unique=plain.unique,
            screening=plain.screening,
            marks=",".join(sorted(plain.marks)),
            asn=plain.asn,
            cost_micros=plain.cost,
            cost_currency=plain.cost_currency,
            cost_rule=rule,
            ip="198.51.100.7",
            useragent=BROWSER,
        )
        return plain, encode(click)

    def _follow(self, click: PlainClick, end: int) -> None:
        """Let a visitor press and convert, maybe months later. Page events come within the two weeks."""
        if click.screening:
            return
        at = min(click.at + self.chance.randrange(1, 600_000), end - 1)
        offer = click.offer
        if click.landing and self.chance.random() < 0.8:
            offer = self._on_page(click, at)
        chance = self.chance.random()
        if offer and chance < 0.35:
            for rebill in range(self.chance.choice((1, 1, 1, 2, 3))):
                self._convert(click, at + rebill * 30 * DAY_MS, f"t{rebill}")

    def _on_page(self, click: PlainClick, at: int) -> int:
        """Let a landing report a view and two numbers, and the visitor press a button. Return the offer."""
        offer = self.chance.choice((3, 4))
        self._happen(click, at, PageEventKind.LANDING_VIEW, {})
        self.plain.events.append(PlainPageEvent(click=click, at=at, views=1))
        numbers = {1: self.chance.randrange(-5_000_000, 9_000_000), 7: self.chance.randrange(1, 3_000_000)}
        self._happen(click, at, PageEventKind.EVENT, {"events": numbers})
        self.plain.events.append(PlainPageEvent(click=click, at=at, numbers=numbers))
        fields = {
            "button": 1,
            "offer_id": offer,
            "network_id": 1 + offer % 2,
            "found_by": "cid",
            "target": "https://o/",
        }
        for press in range(self.chance.choice((1, 1, 2))):
            self._happen(click, at + press, PageEventKind.LANDING_CLICK, fields)
        network = 1 + offer % 2
        first = PlainPageEvent(click=click, at=at, presses=1, visits=1, offer=offer, network=network)
        self.plain.events.append(first)
        return offer

    def _happen(self, click: PlainClick, at: int, kind: PageEventKind, fields: dict[str, Any]) -> None:
        event_id = self.instance.context.record_ids()
        line = {"event_id": event_id, "at": at, "kind": kind, "click_id": click.click_id} | fields
        self.writers[PAGE_EVENTS_STREAM].append(encode(msgspec.convert(line, PageEvent)))

    def _convert(self, click: PlainClick, since: int, txid: str) -> None:
        """Plan the notices of a conversion: the first within hours or months, then changes of its status and payout."""
        at = since + self.chance.choice((3, 7_200, 90_000, 86_400 * 75)) * 1000 + self.chance.randrange(100_000)
        currency = self.chance.choice(CURRENCIES)
        for _ in range(self.chance.choice((1, 1, 2, 3))):
            payout = self.chance.choice(("1.5", "12.345678", "0.000001", "40"))
            word = self.chance.choice(tuple(WORDS))
            said = {"payout": payout, "currency": currency, "status": word, "txid": txid}
            self.waiting.append((at, click, said))
            at += self.chance.randrange(1, 86_400 * 40) * 1000

    def _notify(self, until: int) -> None:
        """Have the network report what is due."""
        due = sorted((one for one in self.waiting if one[0] < until), key=lambda one: one[0])
        self.waiting = [one for one in self.waiting if one[0] >= until]
        presses = {event.click.click_id: event for event in self.plain.events if event.presses}
        for at, click, said in due:
            query = urlencode({"cid": click.click_id} | said)
            notice_id = self.instance.context.record_ids()
            raw = RawNotice(notice_id=notice_id, at=at, channel=Channel.S2S, query=query, ip="198.51.100.9")
            self.writers["notices"].append(encode(raw))
            key = (click.click_id, said["txid"])
            press = presses.get(click.click_id)
            whole, _, part = said["payout"].partition(".")
            before = self.plain.conversions.get(key)
            self.plain.conversions[key] = PlainConversion(
                click=click,
                at=before.at if before else at,
                status=WORDS[said["status"]],
                payout=int(whole + part.ljust(6, "0")),
                currency=said["currency"],
                offer=press.offer if press else click.offer,
                network=press.network if press else click.network,
            )

    def _settle(self, at: int) -> None:
        self.instance.now = at
        self._notify(at)
        for writer in self.writers.values():
            writer.close_segment()
        facts, ledger = self.instance.facts, self.instance.ledger
        while settle_clicks(self.readers[0], facts).segments:
            pass
        assert settle_page_events(self.readers[1], facts, at).damages == ()
        assert settle_notices(self.readers[2], self.intake, at).damages == ()
        while settle_facts(ledger, facts):
            pass
        held, self.late = self.late, []
        for line in held:  # settled two weeks later
            self.writers["clicks"].append(line)
        self._work()

    def _work(self) -> None:
        while self.cost_worker.step():
            pass
        while self.reruns.step():
            pass

    def _marks(self, number: int) -> None:
        """Judge campaign 1 and 2 anew over the past, twice a year; take a third rerun back."""
        if number not in (10, 17, 25):
            return
        since, until = START + 30 * DAY_MS, START + (number - 2) * ROUND_MS
        iso = [datetime.fromtimestamp(at / 1000, UTC).isoformat().replace("+00:00", "Z") for at in (since, until)]
        order = RerunOrder(since=iso[0], until=iso[1], campaign_ids=[1, 2], marks=[Mark.DATACENTER])
        rerun_id = start_mark_rerun(self.jobs, order, self.rules.instance).rerun_id
        self._work()
        assert apply_mark_rerun(self.jobs, rerun_id) is not None
        self._work()
        if number == 17:
            assert undo_mark_rerun(self.jobs, rerun_id) is not None
            self._work()
            return
        for click in self.plain.clicks.values():
            if since <= click.at < until and click.campaign in (1, 2) and click.counts:
                click.marks -= {"datacenter"}
                if click.asn == HOSTER:
                    click.marks.add("datacenter")
