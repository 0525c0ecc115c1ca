"""The campaign: which visitors of which source go to which offers; its key and its link to copy."""

import enum
import re
import string
from collections.abc import Callable
from urllib.parse import quote, urlsplit

import msgspec

from clickloop.campaign.fault import Fault, FaultCode, text_faults
from clickloop.campaign.offer import MOST_MICROS
from clickloop.campaign.tags import tag_faults
from clickloop.campaign.traffic_source import TrafficSource
from clickloop.campaign.web_address import address_faults
from clickloop.setup.source_rows import FixedRow

KEY_LETTERS = string.ascii_letters + string.digits
KEY_LENGTH = 6
MAX_OFFERS = 200
HEAVIEST = 1_000_000
LONGEST_NOTES = 10_000

_UNFIT_IN_NOTES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_KEY = re.compile(r"[A-Za-z0-9]{6}")
_DOMAIN = re.compile(r"(?=.{1,253}$)(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*(?::[0-9]{1,5})?")


class OfferShare(msgspec.Struct, frozen=True):
    """An offer of a campaign and its weight against the others; 0 switches it off there."""

    offer_id: int
    weight: int = 100


class ClickCost(enum.StrEnum):
    """How a campaign's clicks are priced."""

    LINK = "link"
    """As the parameter ``cost`` of each click says."""
    PER_CLICK = "per_click"
    """A fixed amount for each click."""
    PER_THOUSAND = "per_thousand"
    """A fixed amount for a thousand clicks."""
    NONE = "none"
    """Nothing, whatever the link says."""

    @property
    def is_fixed(self) -> bool:
        """Whether it takes an amount."""
        return self in (ClickCost.PER_CLICK, ClickCost.PER_THOUSAND)

    def of_a_click(self, amount_micros: int | None) -> int | None:
        """Return the cost of one click for the model's amount; None: the cost is what the link says.

        A thousandth is rounded half up to whole micros: it is never negative.
        """
        match self:
            case ClickCost.NONE:
                return 0
            case ClickCost.PER_CLICK:
                return amount_micros
            case ClickCost.PER_THOUSAND:
                return None if amount_micros is None else (amount_micros + 500) // 1000
        return None


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign. ``key`` is what its link carries: six letters and digits, case-sensitive."""

    id: int = 0
    key: str
    name: str
    source_id: int
    domain: str = ""
    """The host of its link, lower case, with a port if any; empty: that of the instance."""
    active: bool = True
    fallback_url: str = ""
    """Where visitors go when it is paused or has no offer left; empty: that of the instance."""
    cost_model: ClickCost = ClickCost.LINK
    cost_micros: int | None = None
    """The fixed cost of a click, or of a thousand, in the currency of the source; None exactly where the model takes none."""
    source_rules_off: bool = False
    tags: tuple[str, ...] = ()
    notes: str = ""
    """The user's own, in any number of lines."""
    offers: tuple[OfferShare, ...] = ()
    created_at: int = 0
    updated_at: int = 0
    archived_at: int | None = None
    version: int = 0
    """See ``store.ledger.versions``; 0: not saved yet."""

    @property
    def click_cost_micros(self) -> int | None:
        """Return the cost of one click; None: it is what the link says."""
        return self.cost_model.of_a_click(self.cost_micros)


def new_key(choose: Callable[[str], str]) -> str:
    """A key drawn at random; ``choose`` draws one letter of a text. There are 5.7 × 10¹⁰ keys: a taken one is drawn again."""
    return "".join(choose(KEY_LETTERS) for _ in range(KEY_LENGTH))


def campaign_faults(campaign: Campaign) -> list[Fault]:
    """Everything that is wrong with a campaign, but whether its key is taken and its source and offers exist."""
    faults = text_faults("name", campaign.name, 200, required=True)
    if not _KEY.fullmatch(campaign.key):
        faults.append(Fault("key", FaultCode.NOT_A_KEY, "A key is six letters and digits, such as aB3xY9."))
    if campaign.domain and not _DOMAIN.fullmatch(campaign.domain):
        faults.append(
            Fault(
                "domain",
                FaultCode.NOT_A_HOST,
                "A host in lower case is expected, without scheme and path: go.example.com.",
            )
        )
    faults += address_faults("fallback_url", campaign.fallback_url, required=False)
    if campaign.cost_micros is not None and not 0 <= campaign.cost_micros <= MOST_MICROS:
        faults.append(
            Fault(
                "cost", FaultCode.OUT_OF_RANGE, "A fixed cost is zero or more, with at most 12 digits before the point."
            )
        )
    elif campaign.cost_model.is_fixed and campaign.cost_micros is None:
        sentence = "A fixed cost needs an amount: give one, or choose another cost model."
        faults.append(Fault("cost", FaultCode.REQUIRED, sentence))
    elif not campaign.cost_model.is_fixed and campaign.cost_micros is not None:
        sentence = (
            f"The cost model {campaign.cost_model} takes no amount: leave it out, or choose per_click or per_thousand."
        )
        faults.append(Fault("cost", FaultCode.NOT_ALLOWED, sentence))
    faults += tag_faults(campaign.tags) + _notes_faults(campaign.notes)
    if len(campaign.offers) > MAX_OFFERS:
        faults.append(Fault("offers", FaultCode.TOO_MANY, f"A campaign has at most {MAX_OFFERS} offers."))
    seen: set[int] = set()
    for position, share in enumerate(campaign.offers[:MAX_OFFERS]):
        if share.offer_id in seen:
            sentence = f"Offer {share.offer_id} stands twice: give it once, with one weight."
            faults.append(Fault(f"offers[{position}].offer_id", FaultCode.DUPLICATE, sentence))
        seen.add(share.offer_id)
        if not 0 <= share.weight <= HEAVIEST:
            sentence = f"The weight is {share.weight}, 0 to {HEAVIEST} is expected."
            faults.append(Fault(f"offers[{position}].weight", FaultCode.OUT_OF_RANGE, sentence))
    return faults


def _notes_faults(notes: str) -> list[Fault]:
    if len(notes) > LONGEST_NOTES:
        sentence = f"They have {len(notes)} characters, at most {LONGEST_NOTES} are kept."
        return [Fault("notes", FaultCode.TOO_LONG, sentence)]
    if _UNFIT_IN_NOTES.search(notes):
        return [Fault("notes", FaultCode.CHARACTER, "They hold a control character or half a character.")]
    return []


def campaign_link(base_url: str, campaign: Campaign, source: TrafficSource) -> str:
    """The link to paste into the source: tracked rows with the source's placeholders, unencoded, as the source replaces them.

    ``base_url`` is scheme and host of the instance; a domain of the campaign takes the host's place. A row without a
    placeholder is left out (what arrives in it is kept all the same); external_id always stands there.
    """
    base_url = base_of(base_url, campaign.domain)
    pairs = [
        f"{quote(row.parameter, safe='')}={row.placeholder}"
        for row in source.parameters
        if row.tracked and (row.placeholder or row.number == FixedRow.EXTERNAL_ID)
    ]
    return f"{base_url}/c/{campaign.key}?{'&'.join(pairs)}"


def base_of(base_url: str, domain: str) -> str:
    """Scheme and host of links of a campaign: the instance's scheme with the campaign's domain, if it has one."""
    return f"{urlsplit(base_url).scheme}://{domain}" if domain else base_url.rstrip("/")
