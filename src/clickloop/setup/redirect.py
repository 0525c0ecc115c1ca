"""Redirect modes, and the parameters of the campaign link to pass on."""

import enum


class RedirectMode(enum.StrEnum):
    """The way in which a visitor is redirected."""

    FOUND = "302"
    """302. The offer sees the page that the visitor came from as the referrer."""
    FOUND_NO_REFERRER = "302_no_referrer"
    """302 with a header that tells the browser to send no referrer."""
    TEMPORARY = "307"
    """307, which keeps the method."""
    META = "meta"
    """A page with a meta refresh."""
    DOUBLE_META = "double_meta"
    """A page with a meta refresh to a second such page, on another domain."""
    SCRIPT = "js"
    """A page that redirects by script, or by a meta refresh where scripts are off."""

    @property
    def is_page(self) -> bool:
        """Return whether the redirect is a page. Google Ads allows only redirects by the server, over HTTPS."""
        return self in (RedirectMode.META, RedirectMode.DOUBLE_META, RedirectMode.SCRIPT)


class PassQuery(enum.StrEnum):
    """The parameters of the campaign link to pass on."""

    NONE = "none"
    CLICK_IDS = "click_ids"
    """Those with click ids of ad platforms."""
    ALL = "all"
