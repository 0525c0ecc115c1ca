"""The campaign: which visitors of which source go to which offers; its key and its link to copy."""

import enum
import re
import string
from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType

from clickloop.log_filter import MAX_ID
from clickloop.money import MAX_MICROS
from clickloop.setup.fault import Fault, FaultCode
from clickloop.setup.money_text import MoneyText, read_money
from clickloop.setup.record import OneLine, RecordFields, Tags, line_faults, with_changes
from clickloop.setup.source_rows import FixedRow
from clickloop.setup.tags import clean_tags, tag_faults
from clickloop.setup.traffic_source import TrafficSource
from clickloop.setup.web_address import address_faults

KEY_LETTERS = string.ascii_letters + string.digits
KEY_LENGTH = 6
MAX_OFFERS = 200  # each click chooses among them, and a page lists them
MAX_WEIGHT = 1_000_000  # sums of all weights stay small whole numbers
MAX_NOTES_LENGTH = 10_000  # notes are in no list, but in each change that is logged

_UNFIT_IN_NOTES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_KEY = re.compile(r"[A-Za-z0-9]{6}")
_DOMAIN = re.compile(r"(?=.{1,253}$)(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*(?::[0-9]{1,5})?")


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


Name = Annotated[str, OneLine(200, required=True), Meta(description="Its name.", examples=["Sweepstakes US"])]
SourceId = Annotated[int, Meta(description="The traffic source.", ge=1, le=MAX_ID, examples=[1])]
Key = Annotated[
    str, Meta(description="What its link carries: six letters and digits, case-sensitive.", examples=["aB3xY9"])
]
Domain = Annotated[
    str, Meta(description="The host of its link; empty: that of the instance.", examples=["go.example.com"])
]
Active = Annotated[bool, Meta(description="false: paused, visitors go to the fallback address.")]
FallbackUrl = Annotated[
    str, Meta(description="Where visitors go while it is paused or has no offer; empty: that of the instance.")
]
Cost = Annotated[
    MoneyText | None,
    Meta(
        description="The fixed cost of a click, or of a thousand by cost_model, in the currency of the source; null: none is fixed. "
        "Given without cost_model: of a click; null without cost_model: as the link's cost parameter says."
    ),
]
Pricing = Annotated[
    ClickCost,
    Meta(
        description="How clicks are priced. link: as the link's cost parameter says; per_click and per_thousand: fixed, as cost says, "
        "of a thousand each click a thousandth, rounded half up to a millionth; none: nothing."
    ),
]
SourceRulesOff = Annotated[bool, Meta(description="true: the postbacks of its source are not sent for this campaign.")]
Notes = Annotated[str, Meta(description="The user's own, in any number of lines.", examples=["Test until Friday."])]


class OfferShare(msgspec.Struct, frozen=True):
    """An offer of a campaign. Visitors are split by weight; 0 switches an offer off."""

    offer_id: Annotated[int, Meta(description="The offer.", ge=1, le=MAX_ID, examples=[1])]
    weight: Annotated[int, Meta(description="Its weight against the others.", examples=[100])] = 100


Offers = Annotated[tuple[OfferShare, ...], Meta(description="Its offers with their weights.")]


class CampaignFields(RecordFields, frozen=True, kw_only=True):
    """What record and view of a campaign share."""

    key: Key
    name: Name
    source_id: SourceId
    domain: Domain = ""
    """Lower case, with a port if any."""
    active: Active = True
    fallback_url: FallbackUrl = ""
    cost_model: Pricing = ClickCost.LINK
    source_rules_off: SourceRulesOff = False
    offers: Offers = ()
    tags: Tags = ()
    notes: Notes = ""


class Campaign(CampaignFields, frozen=True, kw_only=True):
    """A campaign. ``key`` is what its link carries: six letters and digits, case-sensitive."""

    cost_micros: int | None = None
    """The fixed cost of a click, or of a thousand, in the currency of the source; None exactly where the model takes none."""
    created_at: int = 0
    updated_at: int = 0
    archived_at: int | None = None

    @property
    def click_cost_micros(self) -> int | None:
        """Return the cost of one click; None: it is what the link says."""
        return self.cost_model.of_a_click(self.cost_micros)


class CampaignFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which campaigns to list. What is None or empty does not narrow."""

    source_id: Annotated[int, Meta(ge=1, le=MAX_ID, description="Only campaigns of this traffic source.")] | None = None
    offer_id: Annotated[int, Meta(ge=1, le=MAX_ID, description="Only campaigns with this offer.")] | None = None
    active: Annotated[bool, Meta(description="true: without those that are paused; false: only those.")] | None = None
    words: Annotated[str, Meta(max_length=200, description="Only those whose name holds this, in any case.")] = (
        msgspec.field(name="q", default="")
    )
    tag: Annotated[str, Meta(max_length=50, description="Only those with this tag, in any case.")] = ""


ALL_CAMPAIGNS = CampaignFilter()


class CampaignChange(msgspec.Struct, kw_only=True):
    """What to change of a campaign; what is left out stays. Its key never changes."""

    name: Name | UnsetType = UNSET
    source_id: SourceId | UnsetType = UNSET
    domain: Domain | UnsetType = UNSET
    active: Active | UnsetType = UNSET
    fallback_url: FallbackUrl | UnsetType = UNSET
    cost_model: Pricing | UnsetType = UNSET
    cost: Cost | UnsetType = UNSET
    source_rules_off: SourceRulesOff | UnsetType = UNSET
    offers: Offers | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET


class NewCampaign(CampaignChange, kw_only=True):
    """A campaign to create."""

    name: Name
    source_id: SourceId
    key: Annotated[Key, Meta(description="Left out: one is drawn.")] | UnsetType = UNSET


def changed_campaign(campaign: Campaign, change: CampaignChange) -> Campaign:
    """Return the campaign with a change; an amount is of a click unless the model is given too. Raise InvalidInputError."""
    model, cost_micros = change.cost_model, campaign.cost_micros
    if change.cost is None:
        model, cost_micros = (ClickCost.LINK if model is UNSET else model), None
    elif change.cost is not UNSET:
        cost_micros = read_money("cost", change.cost).micros
        model = ClickCost.PER_CLICK if model is UNSET else model
    elif model is not UNSET and not model.is_fixed:
        cost_micros = None
    others: dict[str, object] = {"cost_micros": cost_micros}
    if model is not UNSET:
        others["cost_model"] = model
    if change.tags is not UNSET:
        others["tags"] = clean_tags(change.tags)
    return with_changes(campaign, change, **others)


def new_key(choose: Callable[[str], str]) -> str:
    """A key drawn at random; ``choose`` draws one letter of a text. There are 5.7 × 10¹⁰ keys: a taken one is drawn again."""
    return "".join(choose(KEY_LETTERS) for _ in range(KEY_LENGTH))


def campaign_faults(campaign: Campaign) -> list[Fault]:
    """Everything that is wrong with a campaign, but whether its key is taken and its source and offers exist."""
    faults = line_faults(campaign)
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
    if campaign.cost_micros is not None and not 0 <= campaign.cost_micros <= MAX_MICROS:
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
        if not 0 <= share.weight <= MAX_WEIGHT:
            sentence = f"The weight is {share.weight}, 0 to {MAX_WEIGHT} is expected."
            faults.append(Fault(f"offers[{position}].weight", FaultCode.OUT_OF_RANGE, sentence))
    return faults


def _notes_faults(notes: str) -> list[Fault]:
    if len(notes) > MAX_NOTES_LENGTH:
        sentence = f"They have {len(notes)} characters, at most {MAX_NOTES_LENGTH} are kept."
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
