"""The click: the record of a visitor who followed a campaign link."""

import msgspec

from clickloop.explained import Explained


class Flag(Explained):
    """Something odd about a click, which is recorded and redirected all the same."""

    UNREPLACED_EXTERNAL_ID = (
        "unreplaced_external_id",
        "The external ID is a macro that the source did not replace, so conversions cannot be reported back.",
    )
    EXTERNAL_ID_CUT = "external_id_cut", "The external ID was longer than 1,024 characters. The rest was dropped."
    QUERY_CUT = "query_cut", "The link had more than 16 KB or 100 parameters. The rest was ignored."
    COST_UNREADABLE = "cost_unreadable", "The cost could not be read as an amount and was ignored."
    COST_AMBIGUOUS = (
        "cost_ambiguous",
        "The cost can be read in two ways, such as 1,234 or 10 kr. Check that it was read correctly.",
    )
    COST_ROUNDED = "cost_rounded", "The cost had more than 6 decimal places and was rounded."
    FALLBACK = "fallback", "There was no offer for the visitor, so they went to the fallback URL."
    NAME_MENDED = (
        "name_mended",
        (
            "A parameter's name began with amp; or an extra question mark, as in links copied from HTML: it was "
            "read without it."
        ),
    )
    LINK_MENDED = (
        "link_mended",
        "The question mark before the parameters was missing or encoded. The parameters were read as if it were there.",
    )
    PATH_IGNORED = "path_ignored", "Extra characters after the campaign key were ignored."
    RECOGNISED = (
        "recognised",
        (
            "No cookie showed that the visitor had been here before, so rules treated the click as unique. When it was counted, the "
            "visitor was recognised by the day's hash of address and user agent, or by a copied cookie."
        ),
    )


class Screening(Explained):
    """The reason why a click is recorded but not counted."""

    HEAD_REQUEST = "head_request", "A request for headers only (HEAD), such as link checkers send."
    PREFETCH = "prefetch", "A browser prefetched the link before anyone followed it."
    PREVIEW_BOT = "preview_bot", "A bot opened the link to show a preview."
    CRAWLER = "crawler", "A crawler opened the link: its User-Agent names a bot, not a browser."
    TEST = "test", "A test click."


class Click(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A click, as stored in the journal (one NDJSON line) and in the facts (one row).

    Untrusted texts are in the form of ``text.escape_bytes``. An id of 0 means none. ``at`` is Unix milliseconds, UTC.
    A click counts unless ``screening`` is set.
    """

    click_id: str
    at: int
    campaign_id: int
    source_id: int
    flow_id: int = 0
    """The flow that decided. After ``hops`` it is another campaign's."""
    flow_version: int = 0
    rule_id: int = 0
    """The rule that took the visitor; 0: a default path did."""
    path_id: int = 0
    landing_id: int = 0
    offer_id: int = 0
    """0 for a visitor sent to a landing: the offer is that of their landing click."""
    network_id: int = 0
    draw: int = 0
    """The random number of 63 bits that each choice was derived from; 0 if there was nothing to choose among."""
    failed_conditions: str = ""
    """One letter per active rule that was tried and did not hold: the position of the condition that failed, from ``a``."""
    hops: str = ""
    """Flows that led to another campaign's, each as ``flow:version:rule:path:failed_conditions``, separated by commas."""
    query: str = ""
    """The link's parameters that conditions of the flow compare and no other field holds, as a query string."""
    external_id: str = ""
    cost_micros: int = 0
    cost_currency: str = ""
    cost_rule: str = ""
    """The campaign's cost model with its terms (``setup.cost_rule``); empty: the link's cost."""
    target: str = ""
    """The URL that the visitor was redirected to, with its macros filled in."""
    domain: str = ""
    ip: str = ""
    country: str = ""
    """ISO 3166-1 alpha-2, upper case."""
    region: str = ""
    """ISO 3166-2, such as ``US-CA``."""
    city: str = ""
    isp: str = ""
    asn: str = ""
    """Number of the autonomous system, as digits."""
    connection: str = ""
    """``mobile``, ``broadband``, ``corporate``, ``dialup`` or ``satellite``."""
    language: str = ""
    """First tag of Accept-Language, lower case: ``en`` or ``pt-br``."""
    useragent: str = ""
    referrer: str = ""
    device: str = ""
    """``mobile``, ``tablet``, ``desktop``, ``tv`` or ``bot``."""
    brand: str = ""
    model: str = ""
    os: str = ""
    os_version: str = ""
    browser: str = ""
    browser_version: str = ""
    unique: bool = False
    """Whether this is the visitor's first click within the campaign's uniqueness: by their signed cookie; without one, settling decides."""
    known: bool = False
    """Whether the signed cookie knew the visitor. Conditions take every other visit for unique; settling may know better."""
    unique_epoch: int = 0
    """How often the campaign's uniqueness had been reset."""
    seen: str = ""
    """What the cookie remembered of the campaign, where bind or rotation use it."""
    instead_of: int = 0
    """The offer whose cap sent the visitor on to ``offer_id``."""
    routing_state: int = 0
    """Version of the routing state, if it affects the flow; 0: none."""
    visit_number: int = 0
    """1 for the visitor's first visit to the campaign; 0 if not counted."""
    marks: str = ""
    """Marks of suspicious traffic, separated by commas."""
    screening: str = ""
    flags: str = ""
    """Values of ``Flag``, separated by commas."""
    v1: str = ""
    v2: str = ""
    v3: str = ""
    v4: str = ""
    v5: str = ""
    v6: str = ""
    v7: str = ""
    v8: str = ""
    v9: str = ""
    v10: str = ""
    v11: str = ""
    v12: str = ""
    v13: str = ""
    v14: str = ""
    v15: str = ""
    v16: str = ""
    v17: str = ""
    v18: str = ""
    v19: str = ""
    v20: str = ""
    v21: str = ""
    v22: str = ""
    v23: str = ""
    v24: str = ""
    v25: str = ""
    v26: str = ""
    v27: str = ""
    v28: str = ""
    v29: str = ""
    v30: str = ""

    @property
    def was_routed_as_unique(self) -> bool:
        """Return whether conditions took the visit for unique. They know the cookie only; ``unique`` may have changed since."""
        return self.unique or Flag.RECOGNISED in self.flags.split(",")

    @property
    def came_over_page(self) -> bool:
        """Return whether the visitor saw a landing, or a page tracked directly: the offer is that of a landing click."""
        # A page tracked directly redirects nobody. Files of earlier versions have no paths.
        return bool(self.landing_id or (self.path_id and not self.target))
