"""Enters the cost of a driven year – by hand, over the API, as a table; corrected and undone – and tells the plain model."""

import random
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from clickloop.report.cost.entry_input import CostBody, CostDefaults
from clickloop.report.cost.segment import CostKind, SpreadOver
from clickloop.setup.money_text import MoneyText
from clickloop.store.ledger.logs.audit_entry import ActorContext
from clickloop.tracking.costs.entering import enter_cost, undo_cost
from clickloop.tracking.costs.uploading import CostUploadOptions, enter_table
from tests.year.plain_year import PlainEntry, PlainYear

FIRST_DAY = date(2025, 3, 1)
LAST_DAY = date(2026, 2, 28)
ROUND_DAYS = 14
ZONE = "Europe/Berlin"
CURRENCIES = ("USD", "EUR", "INR", "UAH", "GBP")
DEFAULTS = CostDefaults("USD", "UTC")


class DrivenCosts:
    """Enters cost. Its worker puts it into effect."""

    def __init__(self, actor: ActorContext, chance: random.Random, plain: PlainYear) -> None:
        self.actor = actor
        self.chance = chance
        self.plain = plain

    def enter(self, number: int) -> None:
        """Enter a cost of the weeks before, correct one, undo one, or upload a table, by turns."""
        first = FIRST_DAY + timedelta(ROUND_DAYS * number + 4)
        last = first + timedelta(self.chance.randrange(9))
        last = min(last, FIRST_DAY + timedelta(ROUND_DAYS * number + ROUND_DAYS - 2))
        match number % 5:
            case 0:
                self._enter(CostKind.MANUAL, _segment(first, last, campaign=3, over="clean"))
            case 1:
                self._enter(CostKind.API, _segment(first, last, source=1 + number % 2, v1=("a", "")))
            case 2:
                segment, key = _segment(first, last, campaign=1, over="unique"), f"round {number}"
                replaced = self._enter(CostKind.API, segment, key)
                self._enter(CostKind.API, segment, key)  # corrects it
                del self.plain.entries[replaced]
            case 3:
                entry_id = self._enter(CostKind.MANUAL, _segment(first, last, campaign=1, source=2))
                undo_cost(self.actor, entry_id)
                del self.plain.entries[entry_id]
            case _:
                self._upload(first, last)

    def _enter(self, kind: CostKind, segment: PlainEntry, key: str = "") -> int:
        """Enter an amount for the clicks of an entry that lacks it. Return the number of the entry."""
        micros, currency = self.chance.randrange(10**8), self.chance.choice(CURRENCIES)
        first, last = (
            datetime.fromtimestamp(at / 1000, ZoneInfo(ZONE)).date() for at in (segment.from_at, segment.until_at - 1)
        )
        body = CostBody(
            amount=MoneyText(f"{micros // 10**6}.{micros % 10**6:06d}", currency),
            campaign_id=segment.campaign or None,
            source_id=segment.source or None,
            first=first.isoformat(),
            last=last.isoformat(),
            spread=SpreadOver(segment.over),
            filters={"v1": list(segment.v1)} if segment.v1 else {},
            key=key,
            zone=ZONE,
        )
        entry = enter_cost(self.actor, body, kind, DEFAULTS)
        rank = (int(kind is CostKind.MANUAL), entry.entry_id)
        self.plain.entries[entry.entry_id] = replace(segment, rank=rank, micros=micros, currency=currency)
        return entry.entry_id

    def _upload(self, first: date, last: date) -> None:
        """Upload a table with a line for each day; its last day twice."""
        days = [first + timedelta(place) for place in range((last - first).days + 1)] + [last]
        amounts = [self.chance.randrange(10**7) for _ in days]
        lines = [
            f"{day},2,{amount // 10**6}.{amount % 10**6:06d},EUR" for day, amount in zip(days, amounts, strict=True)
        ]
        table = "\n".join(["date,campaign_id,cost,currency", *lines]).encode()
        upload = enter_table(
            self.actor,
            table,
            CostUploadOptions(zone=ZONE),
            DEFAULTS,
            f"upload-{first}",
        )
        for entry in upload.entries:
            day = datetime.fromtimestamp(entry.segment.from_at / 1000, ZoneInfo(ZONE)).date()
            micros = sum(amount for on, amount in zip(days, amounts, strict=True) if on == day)
            known = replace(_segment(day, day, campaign=2), rank=(0, entry.entry_id), micros=micros, currency="EUR")
            self.plain.entries[entry.entry_id] = known


def _segment(
    first: date, last: date, campaign: int = 0, source: int = 0, v1: tuple[str, ...] = (), over: str = "clicks"
) -> PlainEntry:
    """Return an entry without its number and amount."""
    from_at, until_at = (
        int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(ZONE)).timestamp()) * 1000
        for day in (first, last + timedelta(1))
    )
    return PlainEntry(
        rank=(0, 0),
        source=source,
        campaign=campaign,
        v1=v1,
        from_at=from_at,
        until_at=until_at,
        micros=0,
        currency="",
        over=over,
    )
