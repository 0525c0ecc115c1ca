"""What a visitor's cookie remembers of a campaign that treats returning visitors in a way of its own. Pure."""

from msgspec.structs import replace

from clickloop.click.routing.recall import NO_MEMORY, Memory
from clickloop.click.visitor_cookie import SeenCampaign, VisitorState
from clickloop.setup.catalog import CatalogCampaign


def memory_of(state: VisitorState, campaign: CatalogCampaign, now_ms: int) -> Memory:
    """Return what counts of a cookie's memory: that of the campaign's current uniqueness window and epoch."""
    seen = state.campaign(campaign.id)
    if seen is None or seen.memory is None or not _counts(seen, campaign, now_ms // 1000):
        return NO_MEMORY
    return seen.memory


def with_memory(state: VisitorState, campaign_id: int, memory: Memory) -> VisitorState:
    """Return the state with another memory of a campaign that it knows; unchanged for others."""
    seen = state.campaign(campaign_id)
    if seen is None or seen.memory == memory:
        return state
    return state.with_campaign(replace(seen, memory=memory))


def _counts(seen: SeenCampaign, campaign: CatalogCampaign, seconds: int) -> bool:
    window = campaign.unique_within_seconds
    return seen.epoch == campaign.unique_epoch and (not window or seconds - seen.first_at < window)
