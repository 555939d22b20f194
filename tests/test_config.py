from __future__ import annotations

from pathlib import Path

import pytest

from bridge.config import Places, bundled, load
from bridge.errors import ConfigInvalid


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setenv("GPEN_HOME", str(tmp_path))
    return Places.current()


def test_gpen_home_moves_everything(places: Places, tmp_path: Path) -> None:
    inside = [places.announcement, places.data, places.settings_file, places.lock_file, places.weights]
    inside += [places.exchange, places.presets, places.clients_file, places.log_file]
    assert all(path.is_relative_to(tmp_path.resolve()) for path in inside)


def test_without_it_the_announcement_lies_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GPEN_HOME", raising=False)
    assert Places.current().announcement == Path.home() / ".gpen-enhance" / "bridge.json"
    assert Places.current().data.name == "gpen-enhance"


def test_flags_win_over_environment_over_file_over_default(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(places).port == 17860
    places.settings_file.write_text("port = 18001\nmin_face = 40\n")
    assert load(places).port == 18001
    monkeypatch.setenv("GPEN_PORT", "18002")
    assert load(places).port == 18002
    assert load(places, port=18003).port == 18003
    assert load(places, port=None).port == 18002
    assert load(places).min_face == 40


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("port = 99999", "port"),
        ("prot = 1", "prot"),
        ("port = ", "TOML"),
        ("device = 'tpu'", "device"),
        ("min_score = 'high'", "min_score"),
    ],
)
def test_a_broken_file_is_named(places: Places, text: str, named: str) -> None:
    places.settings_file.write_text(text)
    with pytest.raises(ConfigInvalid, match=named):
        load(places)


def test_a_file_that_is_not_text_is_named(places: Places) -> None:
    places.settings_file.write_bytes(b"\xff\xfe\x00port")
    with pytest.raises(ConfigInvalid, match=r"settings\.toml"):
        load(places)


def test_the_mark_that_windows_editors_set_is_no_damage(places: Places) -> None:
    places.settings_file.write_text("port = 17870\r\n", encoding="utf-8-sig")
    assert load(places).port == 17870


def test_networks_are_kept_unless_minutes_are_set(places: Places) -> None:
    assert load(places).unload_seconds is None
    assert load(places, unload_after=1.5).unload_seconds == 90


def test_a_broken_environment_is_named(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPEN_DEVICE", "abacus")
    with pytest.raises(ConfigInvalid, match="device"):
        load(places)


def test_the_line_of_a_broken_file_is_named(places: Places) -> None:
    places.settings_file.write_text("# mine\nmin_face = 40\n  port = 99999\n")
    with pytest.raises(ConfigInvalid, match=r"settings\.toml, line 3\): .*65535"):
        load(places)


def test_a_setting_that_does_not_exist_gets_the_one_that_was_meant(places: Places) -> None:
    places.settings_file.write_text("prot = 17870\n")
    with pytest.raises(ConfigInvalid, match=r"no setting `prot` \(.*line 1\)") as raised:
        load(places)
    assert "`port`" in raised.value.hint


def test_a_section_is_no_setting(places: Places) -> None:
    places.settings_file.write_text("[bridge]\nport = 17870\n")
    with pytest.raises(ConfigInvalid, match=r"no setting `bridge` \(.*line 1\)"):
        load(places)


def test_the_source_of_a_broken_value_is_named(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    places.settings_file.write_text("port = 17870\n")
    monkeypatch.setenv("GPEN_PORT", "many")
    with pytest.raises(ConfigInvalid, match="variable GPEN_PORT"):
        load(places)
    with pytest.raises(ConfigInvalid, match="flag `--port`"):
        load(places, port=99999)


def test_a_list_in_the_environment_that_is_not_json_is_named(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPEN_ALLOWED_ROOTS", "/photos")
    with pytest.raises(ConfigInvalid, match=r"GPEN_ALLOWED_ROOTS.*JSON"):
        load(places)


def test_settings_are_frozen(places: Places) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(places).port = 1  # type: ignore[misc]  # what mypy forbids must also fail at run time


def test_the_checkout_brings_its_weights_folder() -> None:
    assert bundled("weights").is_dir()
