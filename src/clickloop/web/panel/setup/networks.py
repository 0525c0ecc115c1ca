"""Networks: the list, and the editor with presets, offer links, and the postback URL and pixel to copy."""

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Response, get, post

from clickloop.money import CURRENCIES
from clickloop.saving.networks import with_known_words
from clickloop.saving.preset_records import network_of_preset, network_preset_of
from clickloop.setup.fault import FaultCode, FieldFault, InvalidInputError
from clickloop.setup.network import Network, NetworkChange, NewNetwork, offer_url, pixel_code, pixel_note, postback_url
from clickloop.setup.preset.preset import find_networks, network_presets
from clickloop.store.ledger.setup.names import RecordKind
from clickloop.web.api.all_faults import save_or_report_faults
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Words
from clickloop.web.api.setup import networks as api
from clickloop.web.api.wire import json_value
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.edit_conflict import SEEN_FIELD, save_edit, seen_version
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, fragment, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.reports.walkthrough import next_step, walkthrough_at
from clickloop.web.panel.setup.network_words import rows_of_words, submitted_words, words_view
from clickloop.web.panel.setup.preset_difference import (
    PresetDifference,
    PresetForm,
    difference_page,
    differing,
    differing_rows,
)
from clickloop.web.panel.setup.record_pages import RecordPages, blank_tree
from clickloop.web.panel.setup.setup_choices import PresetKey

PATH = "/panel/networks"
ROWS_PER_PAGE = 100
EXAMPLE_LINK = "https://network.example/click?offer=1"

OUR_PARAMETERS = {
    "cid": "Our click ID, returned by the network",
    "payout": "Amount that the conversion pays",
    "currency": "Payout currency",
    "status": "Status, in the network’s own words",
    "txid": "The network’s conversion ID. Without it, each click has at most one conversion",
}
"""Parameters that the editor always shows, in the order of the postback URL."""

FURTHER_PARAMETERS = (
    "at",
    *(f"param{number}" for number in range(1, 21)),
    *(f"event{number}" for number in range(1, 31)),
)

_FIELDS = NetworkChange.__struct_fields__


def show_list(
    viewer: CurrentViewer, context: Context, cursor: Cursor = "", archived: Archived = False, words: Words = ""
) -> PageResponse:
    found = api.list_networks(context, ROWS_PER_PAGE, cursor, archived, words)
    names = {preset.key: preset.name for preset in network_presets().values()}
    return page(viewer, "networks.html", found=found, archived=archived, cursor=cursor, q=words, names=names)


def choose_preset(viewer: CurrentViewer, context: Context, words: Words = "") -> PageResponse:
    walkthrough = walkthrough_at(context, viewer, RecordKind.NETWORK)
    return page(viewer, "network_presets.html", found=find_networks(words), q=words, walkthrough=walkthrough)


def show_new(viewer: CurrentViewer, context: Context, preset: PresetKey = "") -> PageResponse:
    """Return the editor of a new network, filled from a preset if one is named."""
    tree = _of_preset(context, preset) if preset else _tree({})
    return _editor(viewer, context, tree, None)


def create(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Create a network, or handle another button of the form."""
    response = _other_button(viewer, context, form, None)
    if response is not None:
        return response
    try:
        checked, rows = _submitted(form)
        read = checked.read_partly(NewNetwork, **rows)
        view = save_or_report_faults(context, read, api.create_network)
    except InvalidInputError as error:
        return _editor(viewer, context, _tree(form.tree), None, error.faults)
    return viewer.go(f"{PATH}/{view.id}", FlashMessage.CREATED)


def change(viewer: CurrentViewer, context: Context, record_id: Id, form: FormParameter) -> PageResponse:
    """Save a network, or handle another button of the form."""
    view = api.read_network(context, record_id)
    response = _other_button(viewer, context, form, view)
    if response is not None:
        return response
    try:
        edit = PAGES.edit_of(context, record_id, view)
        checked, rows = _submitted(form)
        save_edit(context, checked, edit, NetworkChange, api.change_network, **rows)
    except InvalidInputError as error:
        return _editor(viewer, context, _tree(form.tree), view, error.faults)
    return viewer.go(f"{PATH}/{record_id}", FlashMessage.SAVED)


def preview(context: Context, form: FormParameter) -> Response[str]:
    """Return the codes to copy for the current form, for the script that inserts them."""
    return Response(fragment("network_codes.html", codes=_codes(context, _tree(form.tree))), media_type="text/html")


def _other_button(viewer: Viewer, context: ApiContext, form: Form, view: api.NetworkView | None) -> PageResponse | None:
    """Return the page for a button other than Save, or None for Save. Nothing is stored."""
    tree = _tree(form.tree)
    if form.has("load_preset") or form.has("take_preset"):
        return _load_preset(viewer, context, form, view)
    if form.has("generate_token"):
        return _editor(viewer, context, {**tree, "token": secrets.token_urlsafe(24)}, view, is_new_token=True)
    if form.has("add_row"):
        return _editor(viewer, context, tree, view, blank_rows=1)
    if form.has("add_word"):
        return _editor(viewer, context, tree, view, blank_words=1)
    if form.has("preview") or form.has("back_to_form"):
        return _editor(viewer, context, tree, view)
    return None


def _load_preset(viewer: Viewer, context: ApiContext, form: Form, view: api.NetworkView | None) -> PageResponse:
    tree = _tree(form.tree)
    if not form.text("load"):
        return _editor(viewer, context, tree, view)
    preset = network_preset_of(form.text("load"))
    fresh = _of_preset(context, preset.key)
    differences = _differences(tree, fresh)
    if form.has("take_preset") or not any(one.mine for one in differences):
        taken = {name: fresh[name] for name in ("preset", *_PRESET_FIELDS, "postback_parameters", "status_words")}
        return _editor(viewer, context, {**tree, **taken, "name": tree["name"] or fresh["name"]}, view)
    editor = PresetForm("Networks", PATH, f"{PATH}/{view.id if view else 'new'}")
    return difference_page(viewer, form, editor, preset.name, differences)


def _of_preset(context: ApiContext, key: str) -> dict[str, Any]:
    """Return the form of a new network, filled from a preset."""
    with context.ledger.read() as tx:
        network = with_known_words(tx, network_of_preset(key))
    return _tree(json_value(network))


def _editor(
    viewer: Viewer,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.NetworkView | None,
    faults: tuple[FieldFault, ...] = (),
    blank_rows: int = 0,
    blank_words: int = 0,
    is_new_token: bool = False,
) -> PageResponse:
    rows = tree["postback_parameters"]
    places = {f"postback_parameters.{row['name']}": f"postback_parameters[{at}]" for at, row in enumerate(rows)}
    places |= {f"status_words.{row['name'][:50]}": f"status_words[{at}]" for at, row in enumerate(tree["status_words"])}
    preset = network_presets().get(str(tree["preset"] or (view.preset if view else "")))
    return page(
        viewer,
        "network.html",
        tuple(_at_row(fault, places) for fault in faults),
        v=tree,
        view=view,
        seen=seen_version(context, tree, view, _FIELDS),
        preset=preset,
        presets=[(one.key, one.name) for one in network_presets().values()],
        words=words_view(
            context, view.id if view else None, tree["status_words"], view.status_words if view else {}, preset
        ),
        our_parameters=OUR_PARAMETERS,
        further_parameters=FURTHER_PARAMETERS,
        blank_rows=blank_rows,
        blank_words=blank_words,
        codes=_codes(context, tree),
        currencies=sorted(CURRENCIES),
        is_new_token=is_new_token,
        next_step=next_step(context, viewer),
        walkthrough=None if view else walkthrough_at(context, viewer, RecordKind.NETWORK),
    )


def _tree(values: dict[str, Any]) -> dict[str, Any]:
    """Return the form's values for a network, a preset or a submitted form; our own parameters come first."""
    defaults = blank_tree(Network(name=""), ("preset", *_FIELDS)) | {SEEN_FIELD: ""}
    tree = {**defaults, **{name: value for name, value in values.items() if name in defaults}}
    rows = _rows(tree["postback_parameters"])
    first = [next((row for row in rows if row["name"] == name), {"name": name, "value": ""}) for name in OUR_PARAMETERS]
    return {
        **tree,
        "postback_parameters": first + [row for row in rows if row not in first],
        "status_words": rows_of_words(tree["status_words"]),
    }


def _rows(value: Any) -> list[dict[str, str]]:
    """Return parameters as rows, from a dict of the API or from rows of a form."""
    if isinstance(value, dict):
        return [{"name": name, "value": macro} for name, macro in value.items()]
    rows = value if isinstance(value, list) else []
    return [
        {"name": str(row.get("name", "")).strip(), "value": str(row.get("value", "")).strip()}
        for row in rows
        if isinstance(row, dict)
    ]


def _submitted(form: Form) -> tuple[Form, dict[str, dict[str, str]]]:
    """Return the form with the faults of its rows, and the rows as in the API: macros by parameter, statuses by word.

    Two rows for one parameter or word are a fault, and a row for none.
    """
    macros: dict[str, str] = {}
    words, faults = submitted_words(form)
    for row in _rows(form.tree.get("postback_parameters")):
        if not row["value"]:
            continue
        if not row["name"]:
            sentence = f"Choose a parameter for the macro {row['value'][:100]!r}."
            faults.append(FieldFault("postback_parameters", FaultCode.REQUIRED, sentence))
        elif row["name"] in macros:
            sentence = f"{row['name'][:100]!r} is in two rows. Keep one of them."
            faults.append(FieldFault("postback_parameters", FaultCode.DUPLICATE, sentence))
        macros[row["name"]] = row["value"]
    return Form(form.pairs, faults), {"postback_parameters": macros, **words}


def _at_row(fault: FieldFault, places: dict[str, str]) -> FieldFault:
    """Return the fault of a parameter or word with the path of the form row."""
    row = places.get(fault.field)
    return fault if row is None else msgspec.structs.replace(fault, field=f"{row}.value")


def _codes(context: ApiContext, tree: dict[str, Any]) -> dict[str, Any]:
    """Return the codes to copy into the network, and an example offer link."""
    parameters = {row["name"]: row["value"] for row in tree["postback_parameters"] if row["name"] and row["value"]}
    network = Network(name="", postback_parameters=parameters, token=str(tree["token"]).strip())
    preset = network_presets().get(str(tree["preset"]))
    url = api.readable_code(postback_url(context.base_url, network))
    words = preset.statuses_by_url if preset is not None and "status" not in parameters else ()
    return {
        "postback_url": url,
        "by_status": [(word, f"{url}&status={word}") for word in words],
        "pixel_code": api.readable_code(pixel_code(context.base_url, network)),
        "pixel_note": pixel_note(context.base_url, network),
        "offer_url": offer_url(str(tree["offer_url_template"]).strip(), EXAMPLE_LINK),
        "offer_link": EXAMPLE_LINK,
        "warnings": api.pixel_warnings(network),
        "has_click_id": "cid" in parameters,
    }


_PRESET_FIELDS = {
    "click_id_parameter": "Click ID parameter",
    "offer_url_template": "Offer URL template",
}


def _differences(mine: dict[str, Any], fresh: dict[str, Any]) -> list[PresetDifference]:
    """Return what the preset would change in the form."""
    parts = differing(
        PresetDifference(name, str(mine[field]), str(fresh[field])) for field, name in _PRESET_FIELDS.items()
    )
    macros = differing_rows("Macro for our {}", *(_written(tree, "postback_parameters") for tree in (mine, fresh)))
    return parts + macros + differing_rows("Status for {}", *(_written(tree, "status_words") for tree in (mine, fresh)))


def _written(tree: dict[str, Any], field: str) -> dict[str, str]:
    rows: Sequence[dict[str, str]] = tree[field]
    return {row["name"]: row["value"] for row in rows if row["value"]}


PAGES = RecordPages(
    path=PATH, records=api.NETWORKS, editor=_editor, tree=lambda view: _tree(json_value(view)), fields=_FIELDS
)

routes = [
    get("/networks", sync_to_thread=True)(show_list),
    get("/networks/presets", sync_to_thread=True)(choose_preset),
    get("/networks/new", sync_to_thread=True)(show_new),
    post("/networks/new", sync_to_thread=True)(create),
    post("/networks/preview", sync_to_thread=True, status_code=200, opt={NEEDS: None})(preview),
    post("/networks/{record_id:int}", sync_to_thread=True)(change),
    *PAGES.routes(),
]
