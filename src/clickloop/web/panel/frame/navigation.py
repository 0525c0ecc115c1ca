"""The sidebar: its sections and pages, in order."""

import msgspec

from clickloop.people.user import Right


class Entry(msgspec.Struct, frozen=True):
    """A page in the sidebar. ``right``: users without it do not see the page."""

    path: str
    name: str
    right: Right | None = None


class Section(msgspec.Struct, frozen=True):
    """A titled group of pages."""

    name: str
    entries: tuple[Entry, ...]


NAVIGATION: tuple[Section, ...] = (
    Section(
        "Overview",
        (
            Entry("/panel", "Dashboard"),
            Entry("/panel/reports", "Reports"),
            Entry("/panel/views", "Views"),
        ),
    ),
    Section(
        "Setup",
        (
            Entry("/panel/campaigns", "Campaigns"),
            Entry("/panel/offers", "Offers"),
            Entry("/panel/landings", "Landings"),
            Entry("/panel/flows", "Flows"),
            Entry("/panel/networks", "Networks"),
            Entry("/panel/traffic-sources", "Traffic sources"),
            Entry("/panel/lists", "Lists"),
            Entry("/panel/marks", "Marks"),
            Entry("/panel/postback-rules", "Postback rules"),
        ),
    ),
    Section(
        "Logs",
        (
            Entry("/panel/clicks", "Clicks"),
            Entry("/panel/conversions", "Conversions"),
            Entry("/panel/notices", "Conversions - In"),
            Entry("/panel/postbacks", "Conversions - Out"),
        ),
    ),
    Section(
        "Tools",
        (
            Entry("/panel/trace", "Trace"),
            Entry("/panel/try", "Try it"),
            Entry("/panel/check", "Check"),
            Entry("/panel/uploads", "Upload"),
            Entry("/panel/costs", "Costs"),
        ),
    ),
    Section(
        "Instance",
        (
            Entry("/panel/health", "Health"),
            Entry("/panel/statuses", "Statuses"),
            Entry("/panel/rates", "Exchange rates"),
            Entry("/panel/settings", "Settings", Right.ADMINISTER),
            Entry("/panel/users", "Users", Right.ADMINISTER),
            Entry("/panel/tokens", "API tokens", Right.ADMINISTER),
            Entry("/panel/changes", "Changes", Right.ADMINISTER),
        ),
    ),
)

FIRST_SECTIONS = 2
"""Number of sections that a new instance shows; the others are folded away until there is a campaign."""
LATER_PATHS = tuple(entry.path for section in NAVIGATION[FIRST_SECTIONS:] for entry in section.entries)
