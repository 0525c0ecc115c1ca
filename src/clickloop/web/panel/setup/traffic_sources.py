"""Traffic sources: the list, and the editor with presets, parameters and the postback URL."""

from collections.abc import Sequence
from typing import Any

from litestar import Response, get, post

from clickloop.report.query import Dimension
from clickloop.saving.preset_records import rows_of_preset, source_preset_of
from clickloop.setup.campaign import Campaign, campaign_link
from clickloop.setup.fault import FieldFault, InvalidInputError
from clickloop.setup.preset.preset import SourcePreset, find_sources, source_presets
from clickloop.setup.source_rows import LAST_ROW, FixedRow
from clickloop.setup.traffic_source import (
    COST,
    EXTERNAL_ID,
    CostModel,
    NewSource,
    SourceChange,
    SourceParameter,
    TrafficSource,
)
from clickloop.store.ledger.setup.names import RecordKind
from clickloop.web.api.all_faults import save_or_report_faults
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Words
from clickloop.web.api.setup import traffic_sources as api
from clickloop.web.api.wire import json_value
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.edit_conflict import save_edit, seen_version
from clickloop.web.panel.frame.flash import FlashMessage
from clickloop.web.panel.frame.form import Form, FormParameter
from clickloop.web.panel.frame.page import PageResponse, fragment, page
from clickloop.web.panel.frame.viewer import CurrentViewer, Viewer
from clickloop.web.panel.reports.today import NO_FIGURES, figures_today
from clickloop.web.panel.reports.walkthrough import next_step, walkthrough_at
from clickloop.web.panel.setup.macro_fields import offered, preview_source_url, rows_of_form
from clickloop.web.panel.setup.preset_difference import (
    PresetDifference,
    PresetForm,
    difference_page,
    differing,
    differing_rows,
)
from clickloop.web.panel.setup.record_pages import RecordPages, blank_tree
from clickloop.web.panel.setup.setup_choices import PresetKey

PATH = "/panel/traffic-sources"
ROWS_PER_PAGE = 100

COST_MODELS = (
    (CostModel.CPC, "CPC – per click"),
    (CostModel.CPM, "CPM – per thousand impressions"),
    (CostModel.CPA, "CPA – per conversion"),
)

_FIELDS = SourceChange.__struct_fields__
_BLANK_ROW = {"number": None, "parameter": "", "placeholder": "", "name": "", "tracked": False}


def show_list(
    viewer: CurrentViewer, context: Context, cursor: Cursor = "", archived: Archived = False, words: Words = ""
) -> PageResponse:
    """Return the list of traffic sources, with today's figures."""
    found = api.list_sources(context, ROWS_PER_PAGE, cursor, archived, words)
    return page(
        viewer,
        "traffic_sources.html",
        found=found,
        archived=archived,
        cursor=cursor,
        q=words,
        names=_preset_names(),
        figures=figures_today(context, viewer, Dimension.SOURCE, [one.id for one in found.items]),
        no_figures=NO_FIGURES,
        currency=context.currency,
    )


def choose_preset(viewer: CurrentViewer, context: Context, words: Words = "") -> PageResponse:
    walkthrough = walkthrough_at(context, viewer, RecordKind.SOURCE)
    return page(viewer, "traffic_source_presets.html", found=find_sources(words), q=words, walkthrough=walkthrough)


def show_new(viewer: CurrentViewer, context: Context, preset: PresetKey = "") -> PageResponse:
    """Return the editor of a new source, filled from a preset if one is named."""
    tree = _tree_of_preset(source_preset_of(preset)) if preset else _empty_tree()
    return _editor(viewer, context, tree, None)


def create(viewer: CurrentViewer, context: Context, form: FormParameter) -> PageResponse:
    """Create a source, or handle another button of the form."""
    response = _other_button(viewer, context, form, None)
    if response is not None:
        return response
    try:
        view = save_or_report_faults(context, form.read_partly(NewSource, **_submitted(form)), api.create_source)
    except InvalidInputError as error:
        return _editor(viewer, context, form.tree, None, error.faults)
    return viewer.go(f"{PATH}/{view.id}", FlashMessage.CREATED)


def change(viewer: CurrentViewer, context: Context, record_id: Id, form: FormParameter) -> PageResponse:
    """Save a source, or handle another button of the form."""
    view = api.read_source(context, record_id)
    response = _other_button(viewer, context, form, view)
    if response is not None:
        return response
    try:
        edit = PAGES.edit_of(context, record_id, view)
        save_edit(context, form, edit, SourceChange, api.change_source, **_submitted(form))
    except InvalidInputError as error:
        return _editor(viewer, context, form.tree, view, error.faults)
    return viewer.go(f"{PATH}/{record_id}", FlashMessage.SAVED)


def preview_link(context: Context, form: FormParameter) -> Response[str]:
    """Return the campaign link for the current form, for the script that inserts it."""
    rows = [row for row in form.redisplay_values(NewSource).get("parameters") or [] if isinstance(row, dict)]
    return Response(fragment("link_preview.html", link=_link_preview(context, rows)), media_type="text/html")


def _submitted(form: Form) -> dict[str, Any]:
    """Return the fields whose form differs from the API's: the postback URL without line ends, if the form has it."""
    return {"postback_url": form.text("postback_url")} if form.has("postback_url") else {}


def _other_button(viewer: Viewer, context: ApiContext, form: Form, view: api.SourceView | None) -> PageResponse | None:
    """Return the page for a button other than Save, or None for Save. Nothing is stored."""
    tree = form.tree
    if form.has("add_row"):
        return _editor(viewer, context, tree, view, blank_rows=1)
    if form.has("back_to_form"):
        return _editor(viewer, context, tree, view)
    if form.has("load_preset") or form.has("take_preset"):
        key = form.text("load")
        if not key:
            return _editor(viewer, context, tree, view)
        preset = source_preset_of(key)
        fresh = _tree_of_preset(preset)
        differences = _differences(tree, fresh)
        if form.has("take_preset") or not any(one.mine for one in differences):
            name = {"name": tree.get("name") or fresh["name"]}
            return _editor(viewer, context, {**tree, **fresh, **name, "parameters": _renumbered(tree, fresh)}, view)
        editor = PresetForm("Traffic sources", PATH, f"{PATH}/{view.id if view else 'new'}")
        return difference_page(viewer, form, editor, preset.name, differences)
    return None


def _editor(
    viewer: Viewer,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.SourceView | None,
    faults: tuple[FieldFault, ...] = (),
    blank_rows: int = 0,
) -> PageResponse:
    tree = {**_empty_tree(), **tree}
    tree["parameters"] = [{**_BLANK_ROW, **row} for row in tree["parameters"] if isinstance(row, dict)]
    rows = rows_of_form(context, Form(_pairs_of_rows(tree["parameters"])))
    url = str(tree["postback_url"])
    preset = source_presets().get(str(tree.get("preset") or (view.preset if view else "")))
    return page(
        viewer,
        "traffic_source.html",
        faults,
        v=tree,
        view=view,
        seen=seen_version(context, tree, view, _FIELDS),
        preset=preset,
        presets=[(one.key, one.name) for one in source_presets().values()],
        cost_models=COST_MODELS,
        blank_rows=blank_rows,
        preview=preview_source_url(context, url, rows, faulty=bool(faults)),
        groups=offered(rows),
        link=_link_preview(context, tree["parameters"]),
        last_row=LAST_ROW,
        currency=context.currency,
        next_step=next_step(context, viewer),
        walkthrough=None if view else walkthrough_at(context, viewer, RecordKind.SOURCE),
    )


def _link_preview(context: ApiContext, rows: Sequence[dict[str, Any]]) -> str:
    """Return the campaign link that the source will get, with KEY for a campaign's key."""
    parameters = tuple(
        SourceParameter(
            number, str(row.get("parameter", "")), str(row.get("placeholder", "")), "", bool(row.get("tracked"))
        )
        for number, row in enumerate(rows, FixedRow.EXTERNAL_ID)
        if row.get("parameter")
    )
    source = TrafficSource(name="", parameters=parameters)
    return campaign_link(context.base_url, Campaign(key="KEY", name="", source_id=0), source)


def _empty_tree() -> dict[str, Any]:
    return {
        **blank_tree(TrafficSource(name="", parameters=()), ("preset", *_FIELDS)),
        "parameters": [
            {
                "number": int(FixedRow.EXTERNAL_ID),
                "parameter": EXTERNAL_ID,
                "placeholder": "",
                "name": "External ID",
                "tracked": True,
            },
            {"number": int(FixedRow.COST), "parameter": COST, "placeholder": "", "name": "Cost", "tracked": True},
        ],
    }


def _tree_of_preset(preset: SourcePreset) -> dict[str, Any]:
    rows: list[dict[str, Any]] = [
        {"number": None, "parameter": row.parameter, "placeholder": row.placeholder, "name": row.name, "tracked": True}
        for row in rows_of_preset(preset)
    ]
    rows[0]["number"], rows[1]["number"] = int(FixedRow.EXTERNAL_ID), int(FixedRow.COST)
    return {
        **_empty_tree(),
        "name": preset.name,
        "preset": preset.key,
        "postback_url": preset.postback_url,
        "parameters": rows,
    }


def _renumbered(mine: dict[str, Any], fresh: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the preset's rows; parameters that the form already has keep their number."""
    numbers = {row.get("parameter"): row.get("number") for row in mine.get("parameters", [])}
    return [{**row, "number": numbers.get(row["parameter"], row["number"])} for row in fresh["parameters"]]


def _differences(mine: dict[str, Any], fresh: dict[str, Any]) -> list[PresetDifference]:
    """Return what the preset would change in the form."""
    url = PresetDifference("Traffic source postback URL", str(mine.get("postback_url", "")), str(fresh["postback_url"]))
    rows = differing_rows(
        "Placeholder of {}", _placeholders(mine.get("parameters", [])), _placeholders(fresh["parameters"])
    )
    return [*differing([url]), *rows]


def _placeholders(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    return {
        str(row["parameter"]): str(row.get("placeholder", "")) or "(no placeholder)"
        for row in rows
        if row.get("parameter")
    }


def _pairs_of_rows(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (f"parameters[{at}].{name}", "" if value in (None, False) else "on" if value is True else str(value))
        for at, row in enumerate(rows)
        for name, value in row.items()
    ]


def _preset_names() -> dict[str, str]:
    return {preset.key: preset.name for preset in source_presets().values()}


PAGES = RecordPages(path=PATH, records=api.SOURCES, editor=_editor, tree=json_value, fields=_FIELDS)

routes = [
    get(PATH.removeprefix("/panel"), sync_to_thread=True)(show_list),
    get("/traffic-sources/presets", sync_to_thread=True)(choose_preset),
    get("/traffic-sources/new", sync_to_thread=True)(show_new),
    post("/traffic-sources/new", sync_to_thread=True)(create),
    post("/traffic-sources/link", sync_to_thread=True, status_code=200, opt={NEEDS: None})(preview_link),
    post("/traffic-sources/{record_id:int}", sync_to_thread=True)(change),
    *PAGES.routes(),
]
