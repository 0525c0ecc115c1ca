"""Measures twenty questions that buyers ask of their reports, over the API with ten million clicks of 90 days.

The data is that of ``bench.panel``.
"""

import sys
from urllib.parse import urlencode

import msgspec

from bench.panel import big_data_folder, measure, table
from bench.product import ServeProcess

AIM_MS = 200.0
ROUNDS = 10
DASHBOARD = ("clicks", "conversions", "cost", "revenue", "profit", "roi")


class Question(msgspec.Struct, frozen=True):
    """A question, and the report that answers it."""

    words: str
    asked: tuple[tuple[str, str], ...]


def _asked(words: str, *pairs: tuple[str, str], columns: tuple[str, ...] = DASHBOARD) -> Question:
    return Question(words, (*pairs, *(("column", name) for name in columns)))


QUESTIONS = (
    _asked("How is today?", ("period", "today"), ("compare", "previous")),
    _asked("How was each day of the month?", ("period", "30d"), ("group_by", "day")),
    _asked("Hour by hour today", ("period", "today"), ("group_by", "hour")),
    _asked("Which campaigns earn?", ("period", "7d"), ("group_by", "campaign"), ("sort", "-profit")),
    _asked(
        "… against the week before",
        ("period", "7d"),
        ("group_by", "campaign"),
        ("compare", "previous"),
        ("sort", "profit.change"),
    ),
    _asked("Which campaigns over three months?", ("period", "90d"), ("group_by", "campaign"), ("sort", "-profit")),
    _asked("Which sources and offers?", ("period", "30d"), ("group_by", "source"), ("group_by", "offer")),
    _asked("Which countries of a campaign?", ("period", "30d"), ("group_by", "country"), ("filter", "campaign:1")),
    _asked(
        "Which zones lose money?",
        *(("period", "7d"), ("filter", "campaign:1"), ("group_by", "v1"), ("having", "cost >= 1 and conversions = 0")),
        ("sort", "-cost"),
    ),
    _asked(
        "Which zones, anywhere?", ("period", "30d"), ("group_by", "v1"), ("having", "profit < 0"), ("sort", "profit")
    ),
    _asked(
        "Zones within a source, opened", ("period", "7d"), ("group_by", "source"), ("group_by", "v1"), ("within", "1")
    ),
    _asked("Creatives by country", ("period", "7d"), ("group_by", "v3"), ("group_by", "country"), ("sort", "-clicks")),
    _asked("Which phones?", ("period", "30d"), ("group_by", "os_version"), ("filter", "device:mobile")),
    _asked("Which hours of which weekdays?", ("period", "30d"), ("group_by", "weekday"), ("group_by", "hour_of_day")),
    _asked(
        "What is still pending?",
        ("period", "30d"),
        ("group_by", "offer"),
        columns=("pending_revenue", "expected_profit"),
    ),
    _asked(
        "How long do conversions take?", ("period", "30d"), ("group_by", "offer"), columns=("conversions", "delay_p50")
    ),
    _asked("What did last month's clicks earn?", ("period", "last_month"), ("by", "click"), ("group_by", "campaign")),
    _asked(
        "Statuses by network",
        ("period", "30d"),
        ("group_by", "network"),
        ("group_by", "status"),
        columns=("conversions", "revenue"),
    ),
    _asked(
        "A formula of one's own",
        *(("period", "30d"), ("group_by", "campaign"), ("formula", "Margin = if(revenue > 0, profit / revenue, 0)")),
        ("sort", "-margin"),
    ),
    _asked(
        "Everything, five deep",
        *(
            ("period", "7d"),
            ("group_by", "campaign"),
            ("group_by", "country"),
            ("group_by", "os"),
            ("group_by", "browser"),
        ),
        ("group_by", "day"),
    ),
)


def main() -> list[str]:
    """Return the results as lines of Markdown."""
    folder = big_data_folder()
    serving = ServeProcess(folder, edges=1)
    try:
        paths = {question.words: f"/api/v1/reports?{urlencode(question.asked)}" for question in QUESTIONS}
        measured = [measure(folder, path, {}, "", ROUNDS) for path in paths.values()]
    finally:
        serving.stop()
    named = [msgspec.structs.replace(one, path=words) for words, one in zip(paths, measured, strict=True)]
    within = sum(one.status == 200 and one.p95_ms <= AIM_MS for one in named)
    summary = f"{within} of {len(named)} questions are answered within {AIM_MS:.0f} ms in 95 of 100 requests."
    others = [f"{one.path} ({one.status})" for one in named if one.status != 200]
    return [*table("question", named, AIM_MS), "", summary + (f" Not answered: {', '.join(others)}." if others else "")]


if __name__ == "__main__":
    sys.stdout.write("\n".join(main()) + "\n")
