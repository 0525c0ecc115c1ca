"""What a visitor's cookie remembers of a campaign that treats returning visitors in a way of its own. Pure."""

from msgspec.structs import replace

from clickloop.click.routing.recall import NO_MEMORY, Memory
from clickloop.click.visitor_cookie import VisitorState


def memory_of(state: VisitorState, campaign_id: int, since: int | None) -> Memory:
    """Return what counts of a cookie's memory of a campaign. ``since``: the result of ``visitor_cookie.unique_since``."""
    seen = state.campaign(campaign_id)
    # Another campaign may have begun the window, after the last visit to this one.
    if since is None or seen is None or seen.memory is None or seen.last_at < since:
        return NO_MEMORY
    return seen.memory


def with_memory(state: VisitorState, campaign_id: int, memory: Memory) -> VisitorState:
    """Return the state with another memory of a campaign that it knows; unchanged for others."""
    seen = state.campaign(campaign_id)
    return state if seen is None else state.with_campaign(replace(seen, memory=memory))
