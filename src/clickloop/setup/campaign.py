"""The campaign: sends a traffic source's visitors to offers. Its key and its link."""

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
from clickloop.setup.cost_rule import ConversionCost
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError, under
from clickloop.setup.flow import FlowParts, OfferShare, default_offers, with_default_offers
from clickloop.setup.mark import MarkSetting, mark_faults
from clickloop.setup.money_text import MoneyText, read_money
from clickloop.setup.record import OneLine, RecordFields, Tags, line_faults, with_changes
from clickloop.setup.redirect import PassQuery, RedirectMode
from clickloop.setup.returning import DEFAULT_UNIQUE_SECONDS, MAX_UNIQUE_SECONDS, Bind, Rotation, UniqueBy
from clickloop.setup.source_rows import FixedRow
from clickloop.setup.tags import clean_tags, tag_faults
from clickloop.setup.traffic_source import TrafficSource
from clickloop.setup.web_address import address_faults

KEY_LETTERS = string.ascii_letters + string.digits
KEY_LENGTH = 6
MAX_NOTES_LENGTH = 10_000  # notes are part of each audit log entry

_UNFIT_IN_NOTES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_KEY = re.compile(r"[A-Za-z0-9]{6}")
_DOMAIN = re.compile(r"(?=.{1,253}$)(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*(?::[0-9]{1,5})?")


class ClickCost(enum.StrEnum):
    """The cost model of a campaign's clicks."""

    LINK = "link"
    """The ``cost`` parameter of each click."""
    PER_CLICK = "per_click"
    """A fixed amount per click."""
    PER_THOUSAND = "per_thousand"
    """A fixed amount per thousand clicks."""
    NONE = "none"
    """No cost, even if the link contains one."""

    @property
    def is_fixed(self) -> bool:
        return self in (ClickCost.PER_CLICK, ClickCost.PER_THOUSAND)

    def of_a_click(self, amount_micros: int | None) -> int | None:
        """Return the cost of one click for the model's amount; None: the cost in the link.

        A thousandth is rounded half up to whole micros; amounts are never negative.
        """
        match self:
            case ClickCost.NONE:
                return 0
            case ClickCost.PER_CLICK:
                return amount_micros
            case ClickCost.PER_THOUSAND:
                return None if amount_micros is None else (amount_micros + 500) // 1000
        return None


Name = Annotated[str, OneLine(200, required=True), Meta(description="Campaign name.", examples=["Sweepstakes US"])]
SourceId = Annotated[int, Meta(description="The traffic source.", ge=1, le=MAX_ID, examples=[1])]
Key = Annotated[
    str, Meta(description="Key in the campaign link: six letters and digits, case-sensitive.", examples=["aB3xY9"])
]
Domain = Annotated[
    str,
    Meta(
        description="Host of the campaign link. Leave empty to use the instance's public URL.",
        examples=["go.example.com"],
    ),
]
Active = Annotated[bool, Meta(description="When false, the campaign is paused and visitors go to the fallback URL.")]
FallbackUrl = Annotated[
    str,
    Meta(
        description="Where visitors go while the campaign is paused or has nowhere to send them. Leave empty to use the "
        "instance's fallback URL."
    ),
]
Cost = Annotated[
    MoneyText | None,
    Meta(
        description="Fixed cost of a click or of a thousand, depending on cost_model, in the source's cost currency. Without "
        "cost_model, an amount sets the cost of a click, and null uses the link's cost parameter."
    ),
]
Pricing = Annotated[
    ClickCost,
    Meta(
        description="Cost model of clicks. link: the link's cost parameter. per_click, per_thousand: the amount in cost, per "
        "click or per thousand clicks; a thousandth is rounded half up to a millionth. none: no cost."
    ),
]
SourceRulesOff = Annotated[bool, Meta(description="When true, the source's postbacks are not sent for this campaign.")]
Notes = Annotated[str, Meta(description="Notes, may have several lines.", examples=["Test until Friday."])]


Offers = Annotated[
    tuple[OfferShare, ...],
    Meta(
        description="Offers of the flow's only default path, with their weights: shorthand for flow.default_paths[0].offers. Empty "
        "if the flow has several default paths."
    ),
]
FlowId = Annotated[
    Annotated[int, Meta(ge=1, le=MAX_ID)] | None,
    Meta(description="The shared flow that visitors follow. null: the campaign's own flow.", examples=[1]),
]
OwnFlow = Annotated[
    FlowParts, Meta(description="The campaign's own flow, which visitors follow unless flow_id names a shared one.")
]
Redirect = Annotated[RedirectMode, Meta(description="How visitors are redirected. Paths may differ.")]
RedirectDomain = Annotated[
    str,
    Meta(
        description="Host of the second page of a double meta refresh. Leave empty to use the campaign link's.",
        examples=["go.example.net"],
    ),
]
Passing = Annotated[
    PassQuery,
    Meta(
        description="Parameters of the link to pass on to landings and offers. Paths may differ. click_ids: the click IDs of ad "
        "platforms, such as gclid and fbclid."
    ),
]
UniqueSeconds = Annotated[
    int,
    Meta(
        description="Seconds after a unique click in which further clicks of the visitor are not unique. 0: for ever. A visitor "
        "without our cookie is unique once a day at most.",
        examples=[DEFAULT_UNIQUE_SECONDS],
    ),
]
UniqueScope = Annotated[
    UniqueBy, Meta(description="Whether earlier clicks count on this campaign only (campaign), or on any (instance).")
]
Binding = Annotated[
    Bind,
    Meta(
        description="What a returning visitor gets again within the uniqueness window, if it is among the paths of the rule that takes "
        "them and still served. landing: path and landing. offer: path, landing and offer."
    ),
]
Rotating = Annotated[
    Rotation,
    Meta(
        description="How a returning visitor who is not bound is split. unseen: paths, landings and offers that they have not seen come "
        "first, by weight; when they have seen all, all again."
    ),
]
UniqueCost = Annotated[
    bool, Meta(description="When true, clicks that are not unique cost nothing: the model is cost per unique click.")
]
LossPercent = Annotated[
    int,
    Meta(
        ge=0,
        le=90,
        description="Share of paid clicks that are lost before they arrive, in percent. The cost of those that do is raised: cost ÷ "
        "(1 − loss).",
    ),
]
CostOfConversions = Annotated[
    ConversionCost | None,
    Meta(
        description="What each conversion costs, beside its click: an amount or a share of the payout. null: nothing."
    ),
]
Marks = Annotated[
    tuple[MarkSetting, ...], Meta(description="Marks that differ from the instance's settings for this campaign.")
]


class CampaignFields(RecordFields, frozen=True, kw_only=True):
    """The fields that a campaign's record and view share."""

    key: Key
    name: Name
    source_id: SourceId
    domain: Domain = ""
    """Lower case, with a port if any."""
    active: Active = True
    fallback_url: FallbackUrl = ""
    cost_model: Pricing = ClickCost.LINK
    source_rules_off: SourceRulesOff = False
    flow_id: FlowId = None
    redirect: Redirect = RedirectMode.FOUND
    redirect_domain: RedirectDomain = ""
    pass_query: Passing = PassQuery.NONE
    flow: OwnFlow = FlowParts()
    tags: Tags = ()
    notes: Notes = ""
    unique_within_seconds: UniqueSeconds = DEFAULT_UNIQUE_SECONDS
    unique_by: UniqueScope = UniqueBy.CAMPAIGN
    unique_epoch: Annotated[int, Meta(description="How often the campaign's uniqueness was reset.")] = 0
    bind: Binding = Bind.NONE
    rotation: Rotating = Rotation.RANDOM
    marks: Marks = ()
    unique_cost_only: UniqueCost = False
    loss_percent: LossPercent = 0
    conversion_cost: CostOfConversions = None


class Campaign(CampaignFields, frozen=True, kw_only=True):
    """A campaign. Its link contains ``key``: six letters and digits, case-sensitive."""

    cost_micros: int | None = None
    """The fixed cost of a click or of a thousand, in the source's cost currency; None if and only if the model has no amount."""
    created_at: int = 0
    updated_at: int = 0
    archived_at: int | None = None

    @property
    def offers(self) -> tuple[OfferShare, ...]:
        """Return the offers of its own flow's only default path."""
        return default_offers(self.flow)

    @property
    def click_cost_micros(self) -> int | None:
        """Return the cost of one click; None: the cost in the link."""
        return self.cost_model.of_a_click(self.cost_micros)


class CampaignFilter(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of campaigns. None and empty mean: not filtered by this field."""

    source_id: Annotated[int, Meta(ge=1, le=MAX_ID, description="Only campaigns of this traffic source.")] | None = None
    offer_id: Annotated[int, Meta(ge=1, le=MAX_ID, description="Only campaigns with this offer.")] | None = None
    active: Annotated[bool, Meta(description="true: only active campaigns; false: only paused ones.")] | None = None
    words: Annotated[
        str, Meta(max_length=200, description="Only campaigns whose name contains this, ignoring case.")
    ] = msgspec.field(name="q", default="")
    tag: Annotated[str, Meta(max_length=50, description="Only campaigns with this tag, ignoring case.")] = ""


ALL_CAMPAIGNS = CampaignFilter()


class CampaignChange(msgspec.Struct, kw_only=True):
    """Changes of a campaign. Fields left out stay as they are. The key never changes."""

    name: Name | UnsetType = UNSET
    source_id: SourceId | UnsetType = UNSET
    domain: Domain | UnsetType = UNSET
    active: Active | UnsetType = UNSET
    fallback_url: FallbackUrl | UnsetType = UNSET
    cost_model: Pricing | UnsetType = UNSET
    cost: Cost | UnsetType = UNSET
    source_rules_off: SourceRulesOff | UnsetType = UNSET
    flow_id: FlowId | UnsetType = UNSET
    redirect: Redirect | UnsetType = UNSET
    redirect_domain: RedirectDomain | UnsetType = UNSET
    pass_query: Passing | UnsetType = UNSET
    flow: OwnFlow | UnsetType = UNSET
    offers: Offers | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    notes: Notes | UnsetType = UNSET
    unique_within_seconds: UniqueSeconds | UnsetType = UNSET
    unique_by: UniqueScope | UnsetType = UNSET
    bind: Binding | UnsetType = UNSET
    rotation: Rotating | UnsetType = UNSET
    marks: Marks | UnsetType = UNSET
    unique_cost_only: UniqueCost | UnsetType = UNSET
    loss_percent: LossPercent | UnsetType = UNSET
    conversion_cost: CostOfConversions | UnsetType = UNSET


class NewCampaign(CampaignChange, kw_only=True):
    """A campaign to create."""

    name: Name
    source_id: SourceId
    key: Annotated[Key, Meta(description="Leave out to generate a random key.")] | UnsetType = UNSET


def changed_campaign(campaign: Campaign, change: CampaignChange) -> Campaign:
    """Return the campaign with a change. An amount without a cost model is per click. Raise InvalidInputError."""
    model, cost_micros = change.cost_model, campaign.cost_micros
    if change.cost is None:
        model, cost_micros = (ClickCost.LINK if model is UNSET else model), None
    elif change.cost is not UNSET:
        cost_micros = read_money("cost", change.cost).micros
        model = ClickCost.PER_CLICK if model is UNSET else model
    elif model is not UNSET and not model.is_fixed:
        cost_micros = None
    flow = campaign.flow if change.flow is UNSET else change.flow
    if change.offers is not UNSET:
        before, flow = flow, with_default_offers(flow, change.offers)
        flow_id = campaign.flow_id if change.flow_id is UNSET else change.flow_id
        if flow_id is not None and flow != before:
            # Visitors would not go to them, and whoever knows no shared flows would not learn of it.
            sentence = f"Visitors follow shared flow {flow_id}. Change that flow, or set flow_id to null."
            raise InvalidInputError((FieldFault("offers", FaultCode.NOT_ALLOWED, sentence),))
    others: dict[str, object] = {"cost_micros": cost_micros, "flow": flow}
    if model is not UNSET:
        others["cost_model"] = model
    if change.tags is not UNSET:
        others["tags"] = clean_tags(change.tags)
    return with_changes(campaign, change, **others)


def with_uniqueness_reset(campaign: Campaign) -> Campaign:
    """Return the campaign with its uniqueness reset: every visitor's next click on it is unique."""
    return msgspec.structs.replace(campaign, unique_epoch=campaign.unique_epoch + 1)


def new_key(choose: Callable[[str], str]) -> str:
    """Return a random key. ``choose`` picks one character of a text. There are 5.7 × 10¹⁰ keys; if one is taken, call again."""
    return "".join(choose(KEY_LETTERS) for _ in range(KEY_LENGTH))


def campaign_faults(campaign: Campaign) -> list[FieldFault]:
    """Return everything wrong with a campaign, except a taken key, its flow, and a source that does not exist."""
    faults = line_faults(campaign)
    if not _KEY.fullmatch(campaign.key):
        faults.append(FieldFault("key", FaultCode.NOT_A_KEY, "A key is six letters and digits, such as aB3xY9."))
    for field in ("domain", "redirect_domain"):
        host = getattr(campaign, field)
        if host and not _DOMAIN.fullmatch(host):
            sentence = "Enter a lowercase host without scheme or path, such as go.example.com."
            faults.append(FieldFault(field, FaultCode.NOT_A_HOST, sentence))
    faults += address_faults("fallback_url", campaign.fallback_url, required=False)
    if campaign.cost_micros is not None and not 0 <= campaign.cost_micros <= MAX_MICROS:
        faults.append(
            FieldFault(
                "cost", FaultCode.OUT_OF_RANGE, "A fixed cost is 0 or more, with at most 12 digits before the point."
            )
        )
    elif campaign.cost_model.is_fixed and campaign.cost_micros is None:
        sentence = "A fixed cost needs an amount. Enter one, or choose another cost model."
        faults.append(FieldFault("cost", FaultCode.REQUIRED, sentence))
    elif not campaign.cost_model.is_fixed and campaign.cost_micros is not None:
        sentence = (
            f"The cost model {campaign.cost_model} has no amount. Leave it out, or choose per_click or per_thousand."
        )
        faults.append(FieldFault("cost", FaultCode.NOT_ALLOWED, sentence))
    faults += mark_faults("marks", campaign.marks)
    if not 0 <= campaign.unique_within_seconds <= MAX_UNIQUE_SECONDS:
        sentence = f"Enter 0 to {MAX_UNIQUE_SECONDS:,} seconds. 0 means for ever; no cookie lives longer than a year."
        faults.append(FieldFault("unique_within_seconds", FaultCode.OUT_OF_RANGE, sentence))
    if campaign.conversion_cost is not None:
        faults += [under("conversion_cost", fault) for fault in campaign.conversion_cost.own_faults()]
    faults += tag_faults(campaign.tags) + _notes_faults(campaign.notes)
    return faults


def _notes_faults(notes: str) -> list[FieldFault]:
    if len(notes) > MAX_NOTES_LENGTH:
        sentence = f"The notes have {len(notes)} characters. The maximum is {MAX_NOTES_LENGTH}."
        return [FieldFault("notes", FaultCode.TOO_LONG, sentence)]
    if _UNFIT_IN_NOTES.search(notes):
        return [FieldFault("notes", FaultCode.CHARACTER, "The notes contain a control character or half a character.")]
    return []


def campaign_link(base_url: str, campaign: Campaign, source: TrafficSource) -> str:
    """Return the link to paste into the source, with the source's placeholders unencoded, so that the source replaces them.

    ``base_url``: scheme and host of the instance; the campaign's domain, if any, replaces the host. Rows without a placeholder
    are left out (values that arrive in them are stored all the same), except external_id.
    """
    base_url = base_of(base_url, campaign.domain)
    pairs = [
        f"{quote(row.parameter, safe='')}={row.placeholder}"
        for row in source.parameters
        if row.tracked and (row.placeholder or row.number == FixedRow.EXTERNAL_ID)
    ]
    return f"{base_url}/c/{campaign.key}?{'&'.join(pairs)}"


def base_of(base_url: str, domain: str) -> str:
    """Return scheme and host of a campaign's link: the instance's, but with the campaign's domain if it has one."""
    return f"{urlsplit(base_url).scheme}://{domain}" if domain else base_url.rstrip("/")
