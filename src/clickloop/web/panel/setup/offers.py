"""Offers: the list, and the editor with the network's URL template and macros."""

from typing import Any

from litestar import get, post

from clickloop.macro import parse
from clickloop.money import CURRENCIES
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.setup.offer import NewOffer, Offer, OfferChange
from clickloop.setup.offer_cap import cap_words
from clickloop.store.ledger.setup.names import RecordKind
from clickloop.web.api.all_faults import save_or_report_faults
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.diagnosis.offer_caps import reached_caps, read_cap
from clickloop.web.api.paging import Archived, Cursor, Id, Tag, Words
from clickloop.web.api.setup import offers as api
from clickloop.web.api.setup.networks import OfferLink, fill_offer_url, read_network
from clickloop.web.api.wire import json_value
from clickloop.web.panel.frame.edit_conflict import save_edit, seen_version
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.reports.walkthrough import next_step, walkthrough_at
from clickloop.web.panel.setup.macro_fields import SourceRows, offered, preview_offer_url
from clickloop.web.panel.setup.record_pages import RecordPages, blank_tree
from clickloop.web.panel.setup.setup_choices import (
    IdFilter,
    OptionalId,
    choices,
    names,
    number_of,
    only,
    status_choices,
    tags_of,
    tags_to_choose,
    zone_choices,
)

PATH = "/panel/offers"
ROWS_PER_PAGE = 100


def show_list(
    viewer: CurrentViewer,
    context: Context,
    cursor: Cursor = "",
    archived: Archived = False,
    network_id: IdFilter = "",
    words: Words = "",
    tag: Tag = "",
) -> PageResponse:
    number = number_of(network_id)
    found = api.list_offers(context, ROWS_PER_PAGE, cursor, archived, number, words, tag)
    return page(
        viewer,
        "offers.html",
        found=found,
        archived=archived,
        cursor=cursor,
        network_id=number,
        q=words,
        tag=tag,
        tags=tags_to_choose(context, RecordKind.OFFER),
        networks=choices(context, RecordKind.NETWORK, [number]),
        network_names=names(context, RecordKind.NETWORK, [one.network_id for one in found.items]),
        caps={one.id: cap_words(one.cap) for one in found.items if one.cap is not None},
        reached=reached_caps(context, [one.id for one in found.items if one.cap is not None]),
    )


def show_new(viewer: CurrentViewer, context: Context, network_id: OptionalId = None) -> PageResponse:
    """Return the editor of a new offer, with the given network or the only one."""
    if network_id is None:
        network_id = only(choices(context, RecordKind.NETWORK))
    return _editor(viewer, context, {**_BLANK, "network_id": network_id or ""}, None)


def create(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Create an offer. A URL without our click ID gets the network's click ID parameter, as the form announces."""
    if form.has("fill_in"):
        return _filled(viewer, context, form, None)
    submitted = _submitted(form)
    if form.text("url") and not _has_click_id(form.text("url")):
        submitted["url"] = _filled_url(context, form)
    try:
        view = save_or_report_faults(context, form.read_partly(NewOffer, **submitted), api.create_offer)
    except InvalidInputError as error:
        return _editor(viewer, context, {**_BLANK, **form.redisplay_values(NewOffer)}, None, error.faults)
    return viewer.go(
        f"{PATH}/{view.id}", FlashMessage.FILLED_IN if submitted["url"] != form.text("url") else FlashMessage.CREATED
    )


def change(viewer: CurrentViewer, context: Context, record_id: Id, form: FormParameter) -> PageResponse:
    """Save an offer, or apply its network's URL template."""
    view = api.read_offer(context, record_id)
    if form.has("fill_in"):
        return _filled(viewer, context, form, view)
    try:
        edit = PAGES.edit_of(context, record_id, view)
        save_edit(context, form, edit, OfferChange, api.change_offer, **_submitted(form))
    except InvalidInputError as error:
        return _editor(viewer, context, {**_BLANK, **form.redisplay_values(NewOffer)}, view, error.faults)
    return viewer.go(f"{PATH}/{record_id}", FlashMessage.SAVED)


def _filled(viewer: Viewer, context: ApiContext, form: Form, view: api.OfferView | None) -> PageResponse:
    """Return the form with the network's URL template applied. Nothing is stored."""
    url = _filled_url(context, form)
    result = (
        "network" if number_of(form.text("network_id")) is None else "same" if url == form.text("url") else "filled"
    )
    return _editor(
        viewer, context, {**_BLANK, **form.redisplay_values(NewOffer), "url": url}, view, fill_in_result=result
    )


def _filled_url(context: ApiContext, form: Form) -> str:
    network_id = number_of(form.text("network_id"))
    if network_id is None:
        return form.text("url")
    return fill_offer_url(context, network_id, OfferLink(url=form.text("url"))).url


def _editor(
    viewer: Viewer,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.OfferView | None,
    faults: tuple[FieldFault, ...] = (),
    fill_in_result: str = "",
) -> PageResponse:
    network_id = number_of(tree["network_id"])
    url = str(tree["url"])
    return page(
        viewer,
        "offer.html",
        faults,
        v={**tree, "tags": ", ".join(tags_of(tree["tags"]))},
        view=view,
        seen=seen_version(context, tree, view, _BLANK),
        fill_in_result=fill_in_result,
        network=read_network(context, network_id)
        if network_id in names(context, RecordKind.NETWORK, [network_id])
        else None,
        networks=choices(context, RecordKind.NETWORK, [network_id]),
        tags=tags_to_choose(context, RecordKind.OFFER),
        preview=preview_offer_url(context, url, network_id, faulty=bool(faults)),
        groups=offered(SourceRows(without_base=context.empty_macros()), at_click=True),
        currency=context.currency,
        currencies=sorted(CURRENCIES),
        **_cap_fields(context, tree, view),
        next_step=next_step(context, viewer),
        walkthrough=None if view else walkthrough_at(context, viewer, RecordKind.OFFER),
    )


def _cap_fields(context: ApiContext, tree: dict[str, Any], view: api.OfferView | None) -> dict[str, Any]:
    """Return the cap's state, and what its fields offer to choose from."""
    chosen = number_of((tree["cap"] or {}).get("then_offer_id"))
    own_id = 0 if view is None else view.id
    return {
        "cap": None if view is None else read_cap(context, view.id),
        "statuses": status_choices(context),
        "zones": zone_choices(),
        "zone": context.instance.time_zone,
        "alternatives": [one for one in choices(context, RecordKind.OFFER, [chosen]) if one[0] != own_id],
    }


_BLANK: dict[str, Any] = {
    **blank_tree(Offer(name="", url=""), OfferChange.__struct_fields__),
    "network_id": "",
    "payout_kind": "automatic",
    "payout": None,
}


def _tree(view: api.OfferView) -> dict[str, Any]:
    tree = json_value(view)
    return {**_BLANK, **tree, "payout_kind": "fixed" if view.payout else "automatic"}


def _submitted(form: Form) -> dict[str, Any]:
    """Return the fields whose form differs from the API's: URL (without line ends), payout, tags, and a cap without an amount."""
    amount = form.text("payout.amount")
    fixed = form.text("payout_kind") == "fixed"
    no_cap = {"cap": None} if form.has("cap.amount") and not form.text("cap.amount") else {}
    return no_cap | {
        "url": form.text("url"),
        "payout": {"amount": amount} if fixed else None,
        "tags": tags_of(form.text("tags")),
    }


def _has_click_id(url: str) -> bool:
    return "clickid" in parse(url).names


PAGES = RecordPages(path=PATH, records=api.OFFERS, editor=_editor, tree=_tree, fields=_BLANK)

routes = [
    get("/offers", sync_to_thread=True)(show_list),
    get("/offers/new", sync_to_thread=True)(show_new),
    post("/offers/new", sync_to_thread=True)(create),
    post("/offers/{record_id:int}", sync_to_thread=True)(change),
    *PAGES.routes(),
]
