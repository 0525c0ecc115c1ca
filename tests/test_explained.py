"""Enums whose members carry a sentence."""

import importlib
import pkgutil

import msgspec
import pytest

import clickloop
from clickloop.click.click import Flag
from clickloop.explained import Explained
from clickloop.setup.preset.preset import PostbackSupport

for found in pkgutil.walk_packages(clickloop.__path__, "clickloop."):
    if not found.name.endswith("__main__") and ".migrations" not in found.name:
        importlib.import_module(found.name)

LISTS = Explained.__subclasses__()


@pytest.mark.parametrize("closed", LISTS, ids=lambda closed: f"{closed.__module__}.{closed.__name__}")
def test_every_member_has_a_sentence_and_is_found_by_its_value(closed: type[Explained]) -> None:
    for member in closed:
        assert member.sentence or member is PostbackSupport.POSTBACK
        assert closed(member.value) is member
        assert msgspec.json.decode(msgspec.json.encode(member), type=closed) is member
        assert msgspec.json.encode(member) == msgspec.json.encode(str(member))


def test_a_value_that_is_none_of_them_is_refused() -> None:
    with pytest.raises(ValueError, match="no_such_flag"):
        Flag("no_such_flag")
