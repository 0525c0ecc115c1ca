"""Loading a preset into a filled-in form: the user sees the differences first and can keep their own values."""

from collections.abc import Iterable, Mapping

import msgspec

from clickloop.web.panel.frame.form import Form
from clickloop.web.panel.frame.page import PageResponse, page
from clickloop.web.panel.frame.viewer import Viewer


class PresetDifference(msgspec.Struct, frozen=True):
    """A field whose value in a preset differs from the form."""

    name: str
    mine: str
    preset: str


class PresetForm(msgspec.Struct, frozen=True):
    """The form that the preset is loaded into: its list, and where it is sent."""

    list_name: str
    list_path: str
    form_path: str


def differing(fields: Iterable[PresetDifference]) -> list[PresetDifference]:
    """Return the fields that differ."""
    return [field for field in fields if field.mine != field.preset]


def differing_rows(name: str, mine: Mapping[str, str], preset: Mapping[str, str]) -> list[PresetDifference]:
    """Return the rows that differ, the preset's first. ``name``: the display name of a row, with ``{}`` for its key."""
    return differing(
        PresetDifference(name.format(row), mine.get(row, ""), preset.get(row, ""))
        for row in dict.fromkeys([*preset, *mine])
    )


def difference_page(
    viewer: Viewer, form: Form, target: PresetForm, preset_name: str, differences: list[PresetDifference]
) -> PageResponse:
    """Return the page that shows the differences; it carries the whole form along."""
    return page(
        viewer,
        "preset_difference.html",
        preset_name=preset_name,
        differences=differences,
        list_name=target.list_name,
        list_path=target.list_path,
        form_path=target.form_path,
        pairs=form.pairs,
    )
