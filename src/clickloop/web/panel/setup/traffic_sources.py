"""Traffic sources: the list, and the editor with presets, rows, sliders and the postback URL."""

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter, SkipValidation

from clickloop.report.query import Dimension
from clickloop.saving.preset_records import rows_of_preset, source_preset_of
from clickloop.setup.campaign import Campaign, campaign_link
from clickloop.setup.fault import Fault, InvalidInputError
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
from clickloop.store.ledger.setup.names import Named
from clickloop.web.api.all_faults import save_read
from clickloop.web.api.context import ApiContext, Context
from clickloop.web.api.paging import Archived, Cursor, Id, Words
from clickloop.web.api.setup import traffic_sources as api
from clickloop.web.api.wire import json_value
from clickloop.web.panel.frame.auth_guard import NEEDS
from clickloop.web.panel.frame.edit_conflict import save_over, seen_mark
from clickloop.web.panel.frame.flash import Said
from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.frame.page import Answer, fragment, page
from clickloop.web.panel.frame.viewer import Visit, VisitFacts
from clickloop.web.panel.reports.newcomer import next_step, walk_at
from clickloop.web.panel.reports.today import NO_FIGURES, figures_today
from clickloop.web.panel.setup.macro_fields import offered, rows_of_form, source_sight
from clickloop.web.panel.setup.preset_difference import (
    Difference,
    Editor,
    difference_page,
    differing,
    differing_rows,
)
from clickloop.web.panel.setup.record_pages import RecordPages, blank_tree

PATH = "/panel/traffic-sources"
ROWS_A_PAGE = 100

COST_MODELS = (
    (CostModel.CPC, "CPC – per click"),
    (CostModel.CPM, "CPM – per thousand impressions"),
    (CostModel.CPA, "CPA – per conversion"),
)

_FIELDS = SourceChange.__struct_fields__
_BLANK_ROW = {"number": None, "parameter": "", "placeholder": "", "name": "", "tracked": False}

_FormParameter = NamedDependency[SkipValidation[Form]]
PresetKey = Annotated[str, QueryParameter(name="preset", max_length=100)]


def show_list(
    visit: Visit, context: Context, cursor: Cursor = "", archived: Archived = False, words: Words = ""
) -> Answer:
    """Every traffic source, with today's figures."""
    found = api.list_sources(context, ROWS_A_PAGE, cursor, archived, words)
    return page(
        visit,
        "traffic_sources.html",
        found=found,
        archived=archived,
        cursor=cursor,
        q=words,
        names=_preset_names(),
        figures=figures_today(context, visit, Dimension.SOURCE, [one.id for one in found.items]),
        no_figures=NO_FIGURES,
        currency=context.currency,
    )


def choose_preset(visit: Visit, context: Context, words: Words = "") -> Answer:
    """Presets to begin a new source with."""
    walk = walk_at(context, visit, Named.SOURCE)
    return page(visit, "traffic_source_presets.html", found=find_sources(words), q=words, walk=walk)


def show_new(visit: Visit, context: Context, preset: PresetKey = "") -> Answer:
    """The editor of a source that is not there yet, filled from a preset if one is named."""
    tree = _tree_of_preset(source_preset_of(preset)) if preset else _empty_tree()
    return _editor(visit, context, tree, None)


def create(visit: Visit, context: Context, form: _FormParameter) -> Answer:
    """Creates the source, or does what another button of the form asks for."""
    answer = _other_button(visit, context, form, None)
    if answer is not None:
        return answer
    try:
        view = save_read(context, form.read_partly(NewSource, **_given(form)), api.create_source)
    except InvalidInputError as error:
        return _editor(visit, context, form.tree, None, error.faults)
    return visit.go(f"{PATH}/{view.id}", Said.CREATED)


def change(visit: Visit, context: Context, number: Id, form: _FormParameter) -> Answer:
    """Saves the source, or does what another button of the form asks for."""
    view = api.read_source(context, number)
    answer = _other_button(visit, context, form, view)
    if answer is not None:
        return answer
    try:
        edited = PAGES.edited(context, number, view)
        save_over(context, form, edited, SourceChange, api.change_source, **_given(form))
    except InvalidInputError as error:
        return _editor(visit, context, form.tree, view, error.faults)
    return visit.go(f"{PATH}/{number}", Said.SAVED)


def preview_link(context: Context, form: _FormParameter) -> Response[str]:
    """Return the campaign link as the form stands: a part of the page, for the script that shows it."""
    rows = [row for row in form.shown_again(NewSource).get("parameters") or [] if isinstance(row, dict)]
    return Response(fragment("link_preview.html", link=_link_form(context, rows)), media_type="text/html")


def _given(form: Form) -> dict[str, Any]:
    """What the form says in other words than the API: the URL without line ends, if it is there."""
    return {"postback_url": form.text("postback_url")} if form.has("postback_url") else {}


def _other_button(visit: VisitFacts, context: ApiContext, form: Form, view: api.SourceView | None) -> Answer | None:
    """What a button other than Save asks for; nothing is stored. None: it was Save."""
    tree = form.tree
    if form.has("add_row"):
        return _editor(visit, context, tree, view, blank_rows=1)
    if form.has("back_to_form"):
        return _editor(visit, context, tree, view)
    if form.has("load_preset") or form.has("take_preset"):
        key = form.text("load")
        if not key:
            return _editor(visit, context, tree, view)
        preset = source_preset_of(key)
        fresh = _tree_of_preset(preset)
        differences = _differences(tree, fresh)
        if form.has("take_preset") or not any(one.mine for one in differences):
            kept = {"name": tree.get("name") or fresh["name"]}
            return _editor(visit, context, {**tree, **fresh, **kept, "parameters": _renumbered(tree, fresh)}, view)
        editor = Editor("Traffic sources", PATH, f"{PATH}/{view.id if view else 'new'}")
        return difference_page(visit, form, editor, preset.name, differences)
    return None


def _editor(
    visit: VisitFacts,
    context: ApiContext,
    tree: dict[str, Any],
    view: api.SourceView | None,
    faults: tuple[Fault, ...] = (),
    blank_rows: int = 0,
) -> Answer:
    tree = {**_empty_tree(), **tree}
    tree["parameters"] = [{**_BLANK_ROW, **row} for row in tree["parameters"] if isinstance(row, dict)]
    rows = rows_of_form(Form(_pairs_of_rows(tree["parameters"])))
    url = str(tree["postback_url"])
    preset = source_presets().get(str(tree.get("preset") or (view.preset if view else "")))
    return page(
        visit,
        "traffic_source.html",
        422 if faults else 200,
        faults,
        v=tree,
        view=view,
        mark=seen_mark(context, tree, view, _FIELDS),
        preset=preset,
        presets=[(one.key, one.name) for one in source_presets().values()],
        cost_models=COST_MODELS,
        blank_rows=blank_rows,
        sight=source_sight(context, url, rows, faulty=bool(faults)),
        groups=offered(rows),
        link=_link_form(context, tree["parameters"]),
        last_row=LAST_ROW,
        currency=context.currency,
        next_step=next_step(context, visit),
        walk=None if view else walk_at(context, visit, Named.SOURCE),
    )


def _link_form(context: ApiContext, rows: Sequence[dict[str, Any]]) -> str:
    """The campaign link as the source will get it, for a campaign whose key is left open."""
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
    """The preset's rows; one whose parameter is there already keeps its number."""
    numbers = {row.get("parameter"): row.get("number") for row in mine.get("parameters", [])}
    return [{**row, "number": numbers.get(row["parameter"], row["number"])} for row in fresh["parameters"]]


def _differences(mine: dict[str, Any], fresh: dict[str, Any]) -> list[Difference]:
    """What the preset would change of the form, part by part."""
    url = Difference("Traffic source postback URL", str(mine.get("postback_url", "")), str(fresh["postback_url"]))
    rows = differing_rows(
        "Placeholder of {}", _placeholders(mine.get("parameters", [])), _placeholders(fresh["parameters"])
    )
    return [*differing([url]), *rows]


def _placeholders(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The placeholder of each row by its parameter."""
    return {
        str(row["parameter"]): str(row.get("placeholder", "")) or "(a row without one)"
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
    post("/traffic-sources/{number:int}", sync_to_thread=True)(change),
    *PAGES.routes(),
]
