"""How visitors are redirected: the mode, and what of the link's query goes along."""

import enum


class RedirectMode(enum.StrEnum):
    """How a visitor is sent on."""

    FOUND = "302"
    """A redirect; the offer sees what page the visitor came from."""
    FOUND_NO_REFERRER = "302_no_referrer"
    """A redirect that tells the browser to send no referrer."""
    TEMPORARY = "307"
    """A redirect that keeps the method."""
    META = "meta"
    """A page with a meta refresh."""
    DOUBLE_META = "double_meta"
    """A page with a meta refresh to a second such page, on another domain."""
    SCRIPT = "js"
    """A page whose script leaves it; without scripts a meta refresh."""

    @property
    def is_page(self) -> bool:
        """Return whether the browser is sent a page. Google Ads allows only redirects by the server, over HTTPS."""
        return self in (RedirectMode.META, RedirectMode.DOUBLE_META, RedirectMode.SCRIPT)


class PassQuery(enum.StrEnum):
    """What of the campaign link's query is passed on."""

    NONE = "none"
    CLICK_IDS = "click_ids"
    """The click ids of ad platforms."""
    ALL = "all"
