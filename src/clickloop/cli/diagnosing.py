"""The commands trace, simulate, doctor, rebuild and check. None of them changes figures or sends anything."""

from typing import Annotated

import typer

from clickloop.cli.connecting import DEFAULT_DATA, REFUSED, DataFolder, send_request, stop, unused


def trace(
    click_id: Annotated[str, typer.Argument(help="Clickloop's click ID.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's response as JSON.")] = False,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Show the whole story of a click on one timeline: redirect, incoming postbacks, conversions, postbacks and attempts."""
    from urllib.parse import quote

    form = "json" if as_json else "text"
    answer = send_request(data, "GET", f"/api/v1/clicks/{quote(click_id, safe='')}/trace?format={form}")
    typer.echo(answer.body.decode().rstrip("\n"))


def simulate(
    campaign: Annotated[int | None, typer.Argument(min=1, help="ID of the campaign to visit.")] = None,
    click_id: Annotated[str, typer.Option("--click", help="Simulate one more conversion of a recorded click.")] = "",
    conversion_id: Annotated[
        str, typer.Option("--conversion", help="Apply the current rules to the last change of a stored conversion.")
    ] = "",
    param: Annotated[
        list[str] | None, typer.Option(help="Link parameter, name=value. Defaults to an example for each parameter.")
    ] = None,
    offer: Annotated[int | None, typer.Option(min=1, help="ID of the offer to send the visitor to.")] = None,
    useragent: Annotated[str, typer.Option(help="The visitor's User-Agent.")] = "",
    country: Annotated[str, typer.Option(help="The visitor's country, two letters.")] = "",
    route: Annotated[
        bool,
        typer.Option("--route", help="Explain the route instead: rule by rule, with the share of each destination."),
    ] = False,
    value: Annotated[
        list[str] | None,
        typer.Option(help="With --route: a value that conditions compare, field=value, such as region=US-CA."),
    ] = None,
    previous: Annotated[
        list[str] | None,
        typer.Option(help="With --route: what the visitor's cookie remembers, such as path=12, landing=3 or offer=7."),
    ] = None,
    at: Annotated[str, typer.Option(help="With --route: local time of the visit, such as 2026-12-01T14:00.")] = "",
    zone: Annotated[str, typer.Option(help="With --route: the time zone of --at.")] = "UTC",
    payout: Annotated[str, typer.Option(help="Payout, as the network would send it.")] = "",
    status: Annotated[str, typer.Option(help="Status, as the network would send it.")] = "",
    txid: Annotated[str, typer.Option(help="Transaction ID, as the network would send it.")] = "",
    currency: Annotated[str, typer.Option(help="Currency, as the network would send it.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's response as JSON.")] = False,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Simulate a visit and a conversion. Shows the redirect, each rule's decision and the requests; stores and sends nothing."""
    import msgspec

    form = "json" if as_json else "text"
    if route:
        if campaign is None:
            raise stop("--route takes the ID of a campaign.", REFUSED)
        given = {"country": country, "useragent": useragent} | _pairs("--value", value)
        visitor: dict[str, object] = {"values": {name: text for name, text in given.items() if text}}
        visitor |= {"parameters": _pairs("--param", param), "at": at, "zone": zone, "previous": _previous(previous)}
        path = f"/api/v1/campaigns/{campaign}/route?format={form}"
        answer = send_request(data, "POST", path, msgspec.json.encode(visitor))
        typer.echo(answer.body.decode().rstrip("\n"))
        return
    body: dict[str, object] = {"campaign_id": campaign, "click_id": click_id, "conversion_id": conversion_id}
    if param is not None:
        body["parameters"] = _pairs("--param", param)
    described = {"useragent": useragent, "country": country}
    notice = {"payout": payout, "status": status, "txid": txid, "currency": currency}
    if any(described.values()):
        body["visitor"] = described
    if any(notice.values()):
        body["conversion"] = notice
    if offer is not None:
        body["offer_id"] = offer
    answer = send_request(data, "POST", f"/api/v1/simulate?format={form}", msgspec.json.encode(body))
    typer.echo(answer.body.decode().rstrip("\n"))


def _previous(given: list[str] | None) -> dict[str, int]:
    """Return the ids of what the visitor saw on their previous visit."""
    pairs = _pairs("--previous", given)
    if not all(name in ("path", "landing", "offer") and number.isdecimal() for name, number in pairs.items()):
        raise stop("--previous takes path=ID, landing=ID or offer=ID.", REFUSED)
    return {f"{name}_id": int(number) for name, number in pairs.items()}


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    """Return the values of an option that takes name=value."""
    pairs = [pair.partition("=") for pair in given or ()]
    if any(not equals for _, equals, _ in pairs):
        raise stop(f"{option} takes name=value.", REFUSED)
    return {name: value for name, _, value in pairs}


def rebuild(data: DataFolder = DEFAULT_DATA) -> None:
    """Make the roll-ups that reports read anew from the facts. The tracker must not be running; it checks them by itself."""
    from clickloop.plural import pluralize
    from clickloop.store.facts.facts import FactsError, FactsInUseError
    from clickloop.store.identity import FACTS_FILE
    from clickloop.stores import open_facts

    path = data.resolve() / FACTS_FILE
    if not path.exists():
        raise unused(data.resolve())
    try:
        facts = open_facts(path)
    except FactsInUseError:
        raise stop(
            "The tracker is running: stop it first. It compares its roll-ups with the facts by itself.", REFUSED
        ) from None
    except FactsError as error:
        raise stop(str(error), REFUSED) from None
    try:
        first, last = facts.rollups.days() or (0, -1)
        for day in range(first, last + 1):
            facts.rollups.rebuild(day)
    finally:
        facts.close()
    typer.echo(f"Made the roll-ups of {pluralize(last - first + 1, 'day')} anew.")


def doctor(
    data: DataFolder = DEFAULT_DATA,
    confirm: Annotated[
        bool,
        typer.Option(
            "--confirm",
            help="Confirm the reported damage to the journal and to single rows once you have dealt with it. This ends the alarm.",
        ),
    ] = False,
    geo_base: Annotated[
        str, typer.Option(envvar="CLICKLOOP_GEO_BASE", help="Geo bases of a tracker that is not running.")
    ] = "",
) -> None:
    """Examine a data folder: versions, disk, journal, ledger, facts, geo bases, and whether every postback is accounted for.

    Works with or without a running server. Exits with 1 if a fault is found.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from clickloop.clock import wall_clock
    from clickloop.diagnosis.doctor import confirm_rows, examine
    from clickloop.diagnosis.doctor_finding import DoctorVerdict
    from clickloop.plural import pluralize
    from clickloop.store.damage_log import confirm_damages
    from clickloop.store.identity import FILE_NAME, LEDGER_FILE, has_been_used
    from clickloop.store.ledger.ledger import LedgerError

    folder = data.resolve()
    if not ((folder / LEDGER_FILE).exists() or (folder / FILE_NAME).exists() or has_been_used(folder)):
        raise unused(folder)
    if confirm:
        confirmed = pluralize(confirm_damages(folder, wall_clock()), "report")
        typer.echo(f"Confirmed {confirmed} of damage to the journal.")
        try:
            rows = confirm_rows(folder, wall_clock())
        except (LedgerError, SQLAlchemyError):
            rows = 0  # examine() below reports what is wrong with the ledger
        if rows:
            typer.echo(f"Accepted {pluralize(rows, 'changed row')} in the ledger. The change log lists them.")
    findings = examine(folder, wall_clock(), geo_base)
    for finding in findings:
        typer.echo(f"{finding.verdict:<8} {finding.place:<10} {finding.sentence}")
        if finding.remedy:
            typer.echo(f"{'':19} {finding.remedy}")
    if any(finding.verdict is DoctorVerdict.FAULT for finding in findings):
        raise typer.Exit(REFUSED)


def check(
    campaign: Annotated[int | None, typer.Option(min=1, help="Check only what this campaign uses.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's response as JSON.")] = False,
    data: DataFolder = DEFAULT_DATA,
) -> None:
    """Check the chain from source to network and back: what is wrong, where, and how to fix it. Exits with 1 for errors."""
    import msgspec

    from clickloop.diagnosis.check.views import CheckView, check_text

    query = f"?campaign_id={campaign}" if campaign is not None else ""
    answer = send_request(data, "GET", f"/api/v1/check{query}")
    result = msgspec.json.decode(answer.body, type=CheckView)
    typer.echo(answer.body.decode() if as_json else check_text(result).rstrip("\n"))
    if result.errors or (strict and result.warnings):
        raise typer.Exit(REFUSED)
