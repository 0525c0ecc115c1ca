"""Page event facts: the rows that a page event adds to the figures."""

import msgspec

from clickloop.click.page.page_event import PageEvent, PageEventFlag, PageEventKind


class PageEventFact(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An additive row of a page event: one for a view or a landing click, and one for each number that came with it."""

    click_id: str
    event_id: str
    at: int
    """Unix milliseconds."""
    kind: PageEventKind
    landing_views: int = 0
    landing_clicks: int = 0
    offer_visits: int = 0
    events: int = 0
    event_number: int = 0
    event_micros: int = 0
    """The number that the page reported, in millionths; ``event_number`` tells which of event1 to event30."""
    button: int = 0
    offer_id: int = 0
    network_id: int = 0
    target: str = ""
    found_by: str = ""
    flags: str = ""
    screening: str = ""
    loaded_ms: int = 0
    instead_of: int = 0
    """The offer whose cap sent the visitor on to ``offer_id``."""


def page_event_facts(event: PageEvent, click_screening: str | None, *, is_repeated: bool) -> list[PageEventFact]:
    """Return the rows of a page event. Each view counts, a reload too; a button that was pressed before does not count again.

    ``click_screening``: that of its click, empty if the click counts; None: the click is unknown. Events of clicks that are
    unknown or do not count are kept and count 0.
    """
    flags = [flag for flag in event.flags.split(",") if flag and flag != PageEventFlag.REPEATED]
    if is_repeated:
        flags.append(PageEventFlag.REPEATED)
    if click_screening is None:
        flags.append(PageEventFlag.UNKNOWN_CLICK)
    counted = int(not event.screening and click_screening == "")
    pressed = counted if event.kind is PageEventKind.LANDING_CLICK and not is_repeated else 0
    first = PageEventFact(
        click_id=event.click_id,
        event_id=event.event_id,
        at=event.at,
        kind=event.kind,
        landing_views=counted if event.kind is PageEventKind.LANDING_VIEW else 0,
        landing_clicks=pressed,
        offer_visits=pressed if event.offer_id else 0,
        button=event.button,
        offer_id=event.offer_id,
        network_id=event.network_id,
        target=event.target,
        found_by=event.found_by,
        flags=",".join(flags),
        screening=event.screening,
        loaded_ms=event.loaded_ms,
        instead_of=event.instead_of,
    )
    numbers = [
        PageEventFact(
            click_id=event.click_id,
            event_id=event.event_id,
            at=event.at,
            kind=PageEventKind.EVENT,
            events=counted,
            event_number=number,
            event_micros=micros,
            offer_id=event.offer_id,
            network_id=event.network_id,
            flags=",".join(flags) if event.kind is PageEventKind.EVENT else "",
            screening=event.screening,
        )
        for number, micros in sorted(event.events.items())
    ]
    # An event without a readable number is kept for the trace.
    return numbers if event.kind is PageEventKind.EVENT and numbers else [first, *numbers]
