"""The figures of a plain year's sums, by formulas written out here, and their texts in the API, the CSV and the panel."""

from collections.abc import Callable, Mapping

from tests.year.plain_year import CURRENCY, Sums, half_away

STATUSES = ("sale", "hold", "rejected", "other")
COUNTS = (
    *("clicks", "unique_clicks", "clicks_recorded", "clean_clicks", "marked_clicks", "landing_visits", "landing_views"),
    *("landing_clicks", "offer_visits", "events", "conversions", "confirmed", "pending", "rejected"),
)
SHARES = ("marked_share", "lp_ctr", "cr", "cr_offer", "approval_rate", "roi", "roas", "expected_rate")
MONEY = (
    *("revenue", "pending_revenue", "rejected_revenue", "average_payout", "cost", "profit", "ecpm"),
    *("expected_revenue", "expected_profit"),
)
MONEY_EACH = ("epc", "epuc", "epc_offer", "cpc", "cpa")
OF_OFFERS = ("expected_revenue", "expected_rate", "expected_profit")
ON_REQUEST = (*OF_OFFERS, "delay_p50")
ALL = (*COUNTS, *SHARES, *MONEY, *MONEY_EACH, "delay_p50")

Number = Callable[[str], int]


def _divided(dividend: int, divisor: int) -> int | None:
    return half_away(dividend, divisor) if divisor > 0 else None


_RATIOS: Mapping[str, Callable[[Number], tuple[int, int]]] = {
    "marked_share": lambda n: (n("clicks") - n("clean_clicks"), n("clicks")),
    "lp_ctr": lambda n: (n("landing_clicks"), n("landing_visits")),
    "cr": lambda n: (n("confirmed") + n("pending"), n("clicks")),
    "cr_offer": lambda n: (n("confirmed") + n("pending"), n("offer_visits")),
    "approval_rate": lambda n: (n("confirmed"), n("confirmed") + n("pending") + n("rejected")),
    "roi": lambda n: (n("revenue") - n("cost"), n("cost")),
    "roas": lambda n: (n("revenue"), n("cost")),
    "expected_rate": lambda n: (n("expected_revenue"), n("pending_revenue")),
    "average_payout": lambda n: (n("revenue"), n("confirmed")),
    "ecpm": lambda n: (1000 * n("revenue"), n("clicks")),
    "epc": lambda n: (n("revenue"), n("clicks")),
    "epuc": lambda n: (n("revenue"), n("unique_clicks")),
    "epc_offer": lambda n: (n("revenue"), n("offer_visits")),
    "cpc": lambda n: (n("cost"), n("clicks")),
    "cpa": lambda n: (n("cost"), n("confirmed") + n("pending")),
}


def figure(name: str, sums: Sums) -> int | None:
    """Return a figure: a count, micros, millionths or seconds."""

    def number(of: str) -> int:
        return sums.get(of, 0)

    match name:
        case "delay_p50":
            return sums.get(name)
        case "marked_clicks":
            return number("clicks") - number("clean_clicks")
        case "conversions":
            return number("confirmed") + number("pending")
        case "profit":
            return number("revenue") - number("cost")
        case "expected_profit":
            return number("revenue") + number("expected_revenue") - number("cost")
    if name in _RATIOS:
        dividend, divisor = _RATIOS[name](number)
        return _divided(dividend * 10**6 if name in SHARES else dividend, divisor)
    return number(name)


def decimal(micros: int) -> str:
    """Return millionths as the shortest decimal."""
    whole, part = divmod(abs(micros), 10**6)
    text = f"{whole}.{part:06d}".rstrip("0").rstrip(".")
    return f"-{text}" if micros < 0 else text


def plain(name: str, value: int | None) -> str:
    """Return a figure as in the CSV."""
    if value is None:
        return ""
    if name in COUNTS or name == "delay_p50":
        return str(value)
    return decimal(value * 100 if name in SHARES else value)


def money(micros: int, currency: str = CURRENCY) -> dict[str, str]:
    """Return an amount as in the API."""
    return {"amount": decimal(micros), "currency": currency}


def in_api(name: str, value: int | None) -> object:
    """Return a figure as in the API."""
    if value is None or name in COUNTS or name == "delay_p50":
        return value
    return plain(name, value) if name in SHARES else money(value)


def figures_in_api(sums: Sums, names: tuple[str, ...]) -> dict[str, object]:
    """Return a row's figures as in the API."""
    figures = {name: in_api(name, figure(name, sums)) for name in names}
    figures["by_status"] = {key: sums.get(f"by_{key}", 0) for key in STATUSES}
    figures["revenue_by_status"] = {key: money(sums.get(f"revenue_{key}", 0)) for key in STATUSES}
    figures["columns"] = {f"event{number}": decimal(sums.get(f"event{number}", 0)) for number in (1, 7)}
    figures["not_converted"] = [
        {"currency": currency} | {name: money(sums.get(f"{currency} {name}", 0), currency) for name in _OTHERS}
        for currency in sorted({name.split(" ")[0] for name, amount in sums.items() if " " in name and amount})
    ]
    return figures


_OTHERS = ("cost", "revenue", "pending_revenue", "rejected_revenue")


def change_in_api(name: str, now: int | None, before: int | None) -> dict[str, str | None]:
    """Return how a figure changed, as in the API."""
    if now is None or before is None:
        return {"change": None, "percent": None}
    percent = None if before == 0 else decimal(half_away((now - before) * 10**6, abs(before)) * 100)
    return {"change": plain(name, now - before), "percent": percent}


def on_screen(name: str, value: int | None) -> str:
    """Return a figure as in the panel."""
    if value is None:
        return "–"
    if name in COUNTS:
        return f"{value:,}".replace("-", "−")
    places = 4 if name in MONEY_EACH else 2
    shown = half_away(value * 100 if name in SHARES else value, 10 ** (6 - places))
    whole, part = divmod(abs(shown), 10**places)
    return f"{'−' if shown < 0 else ''}{whole:,}.{part:0{places}d}{'%' if name in SHARES else ''}"
