from __future__ import annotations

import json
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from bridge import __version__, plugins
from bridge.config import DEFAULT_PORT, PORTS_TRIED, bundled
from bridge.errors import InvalidRequest, OutputError, PluginNotInstalled
from tests.cli.conftest import Type, home, type_  # noqa: F401 - fixtures

MANIFEST = json.loads((bundled("plugins") / "photoshop-uxp" / "manifest.json").read_text(encoding="utf-8"))


def _installer(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Stands in for Adobe's installer, which is found by its place."""
    command = folder / "installer.py"
    command.write_text(script)
    monkeypatch.setattr(plugins, "adobe_installers", lambda: [(sys.executable, str(command), "--install")])


def test_a_package_is_an_ordinary_zip_that_adobe_takes(tmp_path: Path) -> None:
    path = plugins.package("photoshop", tmp_path / "new folder")
    assert path.name == f"gpen-enhance-photoshop-{__version__}.ccx"
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert "manifest.json" in names
        for entry in archive.infolist():
            assert stat.S_IMODE(entry.external_attr >> 16) == 0o644
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert "\\" not in entry.orig_filename  # as it lies in the raw directory
        assert json.loads(archive.read("manifest.json")) == MANIFEST
    assert names == sorted(names)
    assert not any(part.startswith(".") for name in names for part in name.split("/"))
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_packages_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    first, second = (plugins.package("photoshop", tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_everything_that_the_manifest_names_is_in_the_package(tmp_path: Path) -> None:
    with zipfile.ZipFile(plugins.package("photoshop", tmp_path)) as archive:
        names = set(archive.namelist())
    assert MANIFEST["main"] in names
    icons = MANIFEST["icons"] + [icon for entry in MANIFEST["entrypoints"] for icon in entry.get("icons", [])]
    assert icons
    for icon in icons:
        for scale in icon["scale"]:
            name = icon["path"] if scale == 1 else icon["path"].replace(".png", f"@{scale}x.png")
            assert name in names


def test_the_manifest_asks_for_the_least() -> None:
    assert MANIFEST["version"] == __version__
    assert all(0 <= int(part) <= 99 for part in MANIFEST["version"].split("."))
    assert MANIFEST["requiredPermissions"] == {
        "localFileSystem": "plugin",
        "network": {
            "domains": [f"http://127.0.0.1:{DEFAULT_PORT + number}" for number in range(PORTS_TRIED)]
        },
    }
    assert "featureFlags" not in MANIFEST


def test_a_bridge_elsewhere_makes_a_second_plug_in(tmp_path: Path) -> None:
    path = plugins.package("photoshop", tmp_path, bridge="http://192.168.1.20:17860/")
    assert "studio" in path.name
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["id"] != MANIFEST["id"]
    assert 3 <= len(manifest["name"]) <= 45
    domains = manifest["requiredPermissions"]["network"]["domains"]
    own = MANIFEST["requiredPermissions"]["network"]["domains"]
    assert domains == ["http://192.168.1.20:17860", *own]
    changed = {"id", "name", "requiredPermissions"}
    assert {key for key in MANIFEST if manifest[key] != MANIFEST[key]} == changed


def test_a_studios_bridge_is_named_with_its_tls(tmp_path: Path) -> None:
    path = plugins.package("photoshop", tmp_path, bridge="https://bridge.studio.lan:17864")
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["requiredPermissions"]["network"]["domains"][0] == "https://bridge.studio.lan:17864"


@pytest.mark.parametrize(
    "address", ["studio", "ftp://studio:1", "http://studio", "http://s:x", "http://s:1/a"]
)
def test_an_address_that_photoshop_would_not_match_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(InvalidRequest, match="not the address"):
        plugins.package("photoshop", tmp_path, bridge=address)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        plugins.package("photoshop", tmp_path / "file")
    with pytest.raises(InvalidRequest, match="gimp"):
        plugins.package("gimp", tmp_path)


def test_without_adobes_installer_it_says_what_to_double_click(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "adobe_installers", lambda: [(str(tmp_path / "missing"), "/install")])
    came_to = plugins.install("photoshop", tmp_path)
    assert not came_to.done
    assert str(came_to.path) in came_to.next_step
    assert came_to.path.is_file()


def test_adobes_installer_is_run_on_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"import sys; open({str(tmp_path / 'told')!r}, 'w').write(' '.join(sys.argv[1:]))"
    _installer(tmp_path, monkeypatch, script)
    came_to = plugins.install("photoshop", tmp_path)
    assert came_to.done
    assert (tmp_path / "told").read_text() == f"--install {came_to.path}"


def test_what_adobes_installer_says_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _installer(tmp_path, monkeypatch, "import sys; print('no host application'); sys.exit(160)")
    with pytest.raises(PluginNotInstalled, match=r"status 160.*no host application") as caught:
        plugins.install("photoshop", tmp_path)
    assert "Double-click" in caught.value.hint


@pytest.mark.parametrize(("system", "word"), [("win32", "/install"), ("darwin", "--install")])
def test_where_adobes_installer_lies(system: str, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    ((program, *words),) = plugins.adobe_installers()
    assert "UPI" in program
    assert words == [word]


def test_typed(type_: Type, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 - the fixtures
    monkeypatch.setattr(plugins, "adobe_installers", list)
    said = type_("plugins", "package", "photoshop", "-o", tmp_path, "--json")
    assert Path(said.json["path"]).is_file()
    assert "Wrote" in type_("plugins", "package", "photoshop", "-o", tmp_path).out
    said = type_("plugins", "install", "photoshop", "--json")
    assert (said.status, said.json["done"]) == (0, False)
    assert Path(said.json["path"]).parent == home / "plugins"
    assert "Double-click" in type_("plugins", "install", "photoshop").out
    assert type_("plugins", "package", "gimp").status == 2
    refused = type_("plugins", "package", "photoshop", "--bridge", "nonsense", "--json")
    assert (refused.status, refused.json["error"]["code"]) == (1, "invalid_request")


@pytest.mark.parametrize("folder", ["pk [studio] x", "q[b]c"])
def test_a_path_is_printed_as_it_is(type_: Type, home: Path, tmp_path: Path, folder: str) -> None:  # noqa: F811 - the fixtures
    said = type_("plugins", "package", "photoshop", "-o", tmp_path / folder)
    assert f"Wrote {tmp_path / folder}" in said.out
    assert type_("plugins", "package", "photoshop", "-o", tmp_path / "q[" / "b]c").status == 0


def test_a_next_step_is_printed_as_it_is(
    type_: Type,  # noqa: F811 - the fixture
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GPEN_HOME", str(tmp_path / "[b]"))
    monkeypatch.setattr(plugins, "adobe_installers", list)
    assert f"Double-click {tmp_path / '[b]'}" in type_("plugins", "install", "photoshop").out


# --- Lightroom Classic ------------------------------------------------------


def test_the_lightroom_package_is_one_folder(tmp_path: Path) -> None:
    path = plugins.package("lightroom", tmp_path / "a")
    assert path.name == f"gpen-enhance-lightroom-{__version__}.zip"
    assert path.read_bytes() == plugins.package("lightroom", tmp_path / "b").read_bytes()
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"gpen-enhance.lrplugin"}
    assert "gpen-enhance.lrplugin/Info.lua" in names
    assert "gpen-enhance.lrplugin/TranslatedStrings_zh_cn.txt" in names
    assert any(name.endswith(".lrtemplate") for name in names)
    assert not any("installed.json" in name for name in names)


def test_lightrooms_plug_in_is_of_this_version() -> None:
    info = (bundled("plugins") / "lightroom" / "gpen-enhance.lrplugin" / "Info.lua").read_text(
        encoding="utf-8"
    )
    major, minor, revision = __version__.split(".")[:3]
    assert f"VERSION = {{ major = {major}, minor = {minor}, revision = {revision} }}" in info


def test_it_is_put_where_lightroom_looks_and_told_how_to_start_the_bridge(tmp_path: Path) -> None:
    old = tmp_path / "Modules" / "gpen-enhance.lrplugin" / "Old.lua"
    old.parent.mkdir(parents=True)
    old.write_text("from the version before")
    came_to = plugins.install("lightroom", tmp_path / "data", folder=tmp_path / "Modules")
    assert came_to.done
    assert came_to.path == old.parent
    assert not old.exists()
    assert (came_to.path / "Info.lua").is_file()
    command = json.loads((came_to.path / "installed.json").read_text(encoding="utf-8"))["command"]
    assert command == [sys.executable, "-m", "bridge", "serve"]
    assert [entry.name for entry in (tmp_path / "Modules").iterdir()] == ["gpen-enhance.lrplugin"]


def test_a_link_in_its_place_is_replaced_and_what_it_leads_to_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "Mine.lua").write_text("mine")
    (tmp_path / "gpen-enhance.lrplugin").symlink_to(tmp_path / "sources")
    for _ in range(2):
        assert (plugins.install("lightroom", tmp_path, folder=tmp_path).path / "Info.lua").is_file()
    assert [entry.name for entry in (tmp_path / "sources").iterdir()] == ["Mine.lua"]
    assert not list(tmp_path.glob(".gpen*"))


@pytest.mark.parametrize("refused", ["gpen-enhance.lrplugin", ".gpen-enhance.lrplugin.part"])
def test_where_it_cannot_be_replaced_the_old_one_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    modules = tmp_path / "Modules"
    plugins.install("lightroom", tmp_path, folder=modules)
    before = plugins.files_of(modules / "gpen-enhance.lrplugin")
    real = Path.rename

    def rename(path: Path, target: Path) -> Path:
        if refused == path.relative_to(modules).parts[0]:
            raise PermissionError(13, "The process cannot access the file", str(path))  # Windows, in use
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(OutputError, match="cannot be written") as caught:
            plugins.install("lightroom", tmp_path, folder=modules)
    assert "Close Lightroom" in caught.value.hint
    assert plugins.files_of(modules / "gpen-enhance.lrplugin") == before
    plugins.install("lightroom", tmp_path, folder=modules)
    assert [entry.name for entry in modules.iterdir()] == ["gpen-enhance.lrplugin"]


@pytest.mark.parametrize(
    ("system", "tail"),
    [
        ("darwin", ("Library", "Application Support", "Adobe", "Lightroom", "Modules")),
        ("win32", ("Roaming", "Adobe", "Lightroom", "Modules")),
    ],
)
def test_where_lightroom_looks(system: str, tail: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setenv("APPDATA", "/users/anna/Roaming")
    folder = plugins.lightroom_modules()
    assert folder is not None
    assert folder.parts[-len(tail) :] == tail


def test_where_there_is_no_lightroom_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(PluginNotInstalled) as caught:
        plugins.install("lightroom", tmp_path)
    assert "--dest" in caught.value.hint


def test_what_a_host_does_not_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="told of another bridge in Lightroom"):
        plugins.package("lightroom", tmp_path, bridge="http://192.168.1.20:17860")
    with pytest.raises(InvalidRequest, match="installed by Adobe"):
        plugins.install("photoshop", tmp_path, folder=tmp_path)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        plugins.install("lightroom", tmp_path, folder=tmp_path / "file")


def test_typed_for_lightroom(type_: Type, home: Path, tmp_path: Path) -> None:  # noqa: F811 - the fixtures
    said = type_("plugins", "install", "lightroom", "--dest", tmp_path / "Modules", "--json")
    assert (said.status, said.json["done"]) == (0, True)
    assert Path(said.json["path"]).is_dir()
    assert "Restart Lightroom" in type_("plugins", "install", "lightroom", "--dest", tmp_path).out
