"""Loading a preset over what somebody has written: what differs is shown first, and nothing is lost unasked."""

from collections.abc import Iterable, Mapping

import msgspec

from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import Viewer


class PresetDifference(msgspec.Struct, frozen=True):
    """A part in which a preset differs from what stands in the form."""

    name: str
    mine: str
    preset: str


class PresetForm(msgspec.Struct, frozen=True):
    """Whose form it is: the list that it belongs to, and where the form is sent."""

    list_name: str
    list_path: str
    form_path: str


def differing(parts: Iterable[PresetDifference]) -> list[PresetDifference]:
    """Those parts that are not the same."""
    return [part for part in parts if part.mine != part.preset]


def differing_rows(name: str, mine: Mapping[str, str], preset: Mapping[str, str]) -> list[PresetDifference]:
    """The rows that are not the same, the preset's first; ``name`` is what a row is called, ``{}`` in it its own name."""
    return differing(
        PresetDifference(name.format(row), mine.get(row, ""), preset.get(row, ""))
        for row in dict.fromkeys([*preset, *mine])
    )


def difference_page(
    viewer: Viewer, form: Form, editor: PresetForm, preset_name: str, differences: list[PresetDifference]
) -> PageResponse:
    """The page that asks; all of the form comes back with the answer."""
    return page(
        viewer,
        "preset_difference.html",
        preset_name=preset_name,
        differences=differences,
        list_name=editor.list_name,
        list_path=editor.list_path,
        form_path=editor.form_path,
        pairs=form.pairs,
    )
