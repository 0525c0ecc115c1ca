"""The marks in force for each campaign, compiled on first use. Pure."""

from collections.abc import Iterable, Mapping

from clickloop.click.marks.lists_in_use import mark_lists
from clickloop.click.marks.rate_tally import RateThresholds, thresholds_of
from clickloop.click.marks.request_marks import bits_of
from clickloop.setup.catalog import Catalog, CatalogList
from clickloop.setup.instance import InstanceSettings, IpStorage
from clickloop.setup.mark import MarkSetting, marks_in_force


class CampaignMarks:
    """The settings of one state of the set-up. Campaigns without settings of their own have the instance's."""

    def __init__(
        self,
        instance: InstanceSettings,
        own: Mapping[int, tuple[MarkSetting, ...]] = {},
        lists: Iterable[CatalogList] = (),
    ) -> None:
        """``own``: settings of campaigns that differ from the instance's, by campaign."""
        self.lists = mark_lists(instance, lists)
        self.keeps_addresses = instance.ip_storage is IpStorage.FULL
        """Whether whole addresses are stored."""
        self._instance = instance.marks
        self._own = {campaign_id: settings for campaign_id, settings in own.items() if settings}
        self._thresholds: dict[int, RateThresholds] = {}
        self._bits: dict[int, int] = {}

    def settings(self, campaign_id: int) -> tuple[MarkSetting, ...]:
        """Return the setting of every mark."""
        return marks_in_force(self._instance, self._own.get(campaign_id, ()))

    def thresholds(self, campaign_id: int) -> RateThresholds:
        """Return the thresholds of the marks that depend on other clicks."""
        key = campaign_id if campaign_id in self._own else 0
        if key not in self._thresholds:
            self._thresholds[key] = thresholds_of(self.settings(key))
        return self._thresholds[key]

    def request_marks(self, campaign_id: int) -> int:
        """Return the marks of a request that are on, as ``request_marks.bits_of``."""
        key = campaign_id if campaign_id in self._own else 0
        if key not in self._bits:
            self._bits[key] = bits_of(self.settings(key))
        return self._bits[key]


def marks_in_catalog(catalog: Catalog, instance: InstanceSettings) -> CampaignMarks:
    """Return the marks of a catalog's campaigns."""
    return CampaignMarks(instance, {campaign.id: campaign.marks for campaign in catalog.campaigns}, catalog.lists)
