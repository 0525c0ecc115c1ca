"""Settings: a value out of range or a misspelt name is refused at the start, by a message that names it."""

import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from clickloop.cli import app
from clickloop.config import INTERNAL_NAMES, SettingError, Settings, read_settings, settings_reference
from clickloop.machine.process import SUPERVISOR
from clickloop.store.private_folder import make_private

NUMBERS = {
    field.name: field.type.type
    for field in msgspec.inspect.type_info(Settings).fields  # type: ignore[attr-defined]
    if isinstance(field.type, msgspec.inspect.Metadata) and isinstance(field.type.type, msgspec.inspect.IntType)
}


def test_every_number_has_a_range() -> None:
    assert len(NUMBERS) >= 14
    assert [name for name, kind in NUMBERS.items() if kind.ge is None or kind.le is None] == []


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_taken_at_both_ends_of_its_range_and_refused_beyond(name: str) -> None:
    least, most = NUMBERS[name].ge, NUMBERS[name].le
    assert least is not None
    assert most is not None
    for value in (least, most):
        assert getattr(read_settings({f"CLICKLOOP_{name.upper()}": str(value)}), name) == value
    for value in (least - 1, most + 1):
        with pytest.raises(SettingError) as refused:
            read_settings({f"CLICKLOOP_{name.upper()}": str(value)})
        assert f"{name} is '{value}', expected a whole number from {least} to {most} " in str(refused.value)


@pytest.mark.parametrize("given", [{"edges": -1}, {"edges": 100_000}])
def test_an_option_out_of_range_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="edges is"):
        read_settings({}, **given)


@pytest.mark.parametrize("text", ["", "many", "1.5", "1e3", "0x10", "NaN"])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"attempt_seconds is .* expected a whole number from 1 to 300 s"):
        read_settings({"CLICKLOOP_ATTEMPT_SECONDS": text})


def test_a_word_that_is_none_of_a_closed_list_is_refused() -> None:
    with pytest.raises(SettingError, match="ip_storage is 'ful', expected one of full, shortened, none"):
        read_settings({"CLICKLOOP_IP_STORAGE": "ful"})


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("CLICKLOOP_EDGE", "CLICKLOOP_EDGES"),
        ("CLICKLOOP_CLICK_KEEPDAYS", "CLICKLOOP_CLICK_KEEP_DAYS"),
        ("CLICKLOOP_TRUSTED_PROXY", "CLICKLOOP_TRUSTED_PROXIES"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_nearest_one(name: str, nearest: str) -> None:
    with pytest.raises(SettingError, match=f"{name} in the environment is not a setting. Did you mean {nearest}"):
        read_settings({name: "1", "PATH": "/bin", "OTHER_CLICKLOOP_X": "1"})


def test_what_the_supervisor_tells_its_children_is_no_unknown_name() -> None:
    assert SUPERVISOR in INTERNAL_NAMES
    assert read_settings({SUPERVISOR: "77"}) == Settings()


def test_serve_refuses_a_bad_setting_with_status_2_and_makes_no_folder(tmp_path: Path) -> None:
    for arguments, environment in ((["--edges", "100000"], {}), ([], {"CLICKLOOP_FACTS_MEMORY_MB": "0"})):
        found = CliRunner().invoke(app, ["serve", "--data", str(tmp_path / "data"), *arguments], env=environment)
        assert (found.exit_code, "expected a whole number from" in found.output) == (2, True)
    assert not (tmp_path / "data").exists()


def test_the_reference_shows_the_ranges() -> None:
    assert "| `CLICKLOOP_EDGES` | `0` | 0 – 256 | processes |" in settings_reference()


def test_what_stands_in_the_data_folder_is_made_private_and_links_are_left(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    folder.mkdir(mode=0o755)
    elsewhere.touch(mode=0o644)
    (folder / "ledger.sqlite").touch(mode=0o644)
    (folder / "click_id.key").touch(mode=0o600)
    (folder / "journal").mkdir(mode=0o755)
    (folder / "link").symlink_to(elsewhere)
    found = make_private(folder)
    assert (found.corrected, found.failed) == (("journal", "ledger.sqlite"), ())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"ledger.sqlite": 0o600, "click_id.key": 0o600, "journal": 0o700, "link": 0o644}
    assert make_private(folder).corrected == ()


@pytest.mark.parametrize("name", ["main", "a", "eu-2", "N" * 24])
def test_a_nodes_name_is_letters_digits_and_hyphens(name: str) -> None:
    assert read_settings({"CLICKLOOP_NODE": name}).node == name


@pytest.mark.parametrize("name", ["", "N" * 25, "-a", "a-", "a b", "a/b", "..", "a_b", "a.b", "größe", "a\n"])
def test_a_node_named_otherwise_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match=r"node is .* expected 1 to 24 letters, digits and hyphens.*CLICKLOOP_NODE"):
        read_settings({"CLICKLOOP_NODE": name})
