"""The plug-ins as users get them: one file to install from, and the installing itself.

One row of `PLUGINS` for each host. Knows folders and archives, not what the plug-ins do.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bridge import __version__
from bridge.config import bundled
from bridge.errors import InvalidRequest, OutputError, PluginNotInstalled

INSTALLER_SECONDS = 180
"""Adobe's installer unpacks a small file and registers it; longer means that it waits for somebody."""


@dataclass(frozen=True)
class Installed:
    """What installing came to.

    Attributes:
        plugin: its name in `PLUGINS`.
        path: the file or folder to install from, or the place where it now lies.
        done: False when the last step is the user's.
        next_step: what the user does now, one sentence.
    """

    plugin: str
    path: Path
    done: bool
    next_step: str


@dataclass(frozen=True)
class Plugin:
    """One host's plug-in.

    Attributes:
        name: as it is typed.
        title: the host, for people.
        folder: below `plugins/`.
        suffix: of the package.
        contents: what goes into the package; it is told a bridge's address if one was asked for.
        install: puts the package at a path into its host; into a folder that the user names, if one is named.
    """

    name: str
    title: str
    folder: str
    suffix: str
    contents: Callable[[Path, str | None], Mapping[str, bytes]]
    install: Callable[[Plugin, Path, Path | None], Installed]


def package(name: str, destination: Path, *, bridge: str | None = None) -> Path:
    """Write a plug-in as one file: the same bytes for the same sources, on every system.

    Args:
        name: a key of `PLUGINS`.
        destination: a folder, which is made if need be.
        bridge: address of a bridge on another machine, for plug-ins that must name it beforehand.

    Raises:
        InvalidRequest: no such plug-in, or it does not take an address.
        OutputError: it cannot be written.
    """
    plugin = _plugin(name)
    contents = plugin.contents(bundled("plugins") / plugin.folder, bridge)
    studio = "-studio" if bridge else ""
    path = destination / f"gpen-enhance-{plugin.name}{studio}-{__version__}{plugin.suffix}"
    try:
        destination.mkdir(parents=True, exist_ok=True)
        write_archive(path, contents)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error}.") from error
    return path


def install(
    name: str, destination: Path, *, bridge: str | None = None, folder: Path | None = None
) -> Installed:
    """Package a plug-in into `destination` and put it into its host, as far as we can.

    Args:
        name: a key of `PLUGINS`.
        destination: as for `package`.
        bridge: as for `package`.
        folder: where the host looks for plug-ins, if it is not the usual place.

    Raises:
        InvalidRequest, OutputError: as for `package`; or the host does not look into folders.
        PluginNotInstalled: the host's installer refused it, or the host's folder is not known.
    """
    plugin = _plugin(name)
    return plugin.install(plugin, package(name, destination, bridge=bridge), folder)


def write_archive(path: Path, contents: Mapping[str, bytes]) -> None:
    """A zip that depends on nothing but its contents: sorted, stored, one time and one mode for all.

    Stored, because deflate's bytes differ between zlib builds. Names use forward slashes;
    a file without rights (mode 0) makes Adobe's installer fail.
    """
    partial = path.with_name(path.name + ".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix: else the mode means nothing
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, contents[name])
    partial.replace(path)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its name with forward slashes; hidden ones are not ours."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def _plugin(name: str) -> Plugin:
    if name not in PLUGINS:
        raise InvalidRequest(f"There is no plug-in named {name!r}.", hint=f"Choose: {', '.join(PLUGINS)}.")
    return PLUGINS[name]


# --- Photoshop --------------------------------------------------------------


def _photoshop_contents(folder: Path, bridge: str | None) -> dict[str, bytes]:
    """The folder as it is; with an address, under an id of its own and allowed to reach that too."""
    contents = files_of(folder)
    if bridge is not None:
        origin = _origin(bridge)
        manifest = json.loads(contents["manifest.json"])
        manifest["id"] += ".studio"
        manifest["name"] += " (studio)"
        domains = manifest["requiredPermissions"]["network"]["domains"]
        manifest["requiredPermissions"]["network"]["domains"] = [origin, *domains]
        contents["manifest.json"] = json.dumps(manifest, ensure_ascii=False, indent=2).encode() + b"\n"
    return contents


def _origin(address: str) -> str:
    """scheme://host:port, which is what Photoshop compares with: a path or no port would match nothing."""
    parts = urlsplit(address)
    try:
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port is not None
    except ValueError:  # a port that is no number
        whole = False
    if not whole or parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        raise InvalidRequest(
            f"{address!r} is not the address of a bridge.", hint="Give it as http://192.168.1.20:17860."
        )
    return f"{parts.scheme}://{parts.netloc}"


def _install_in_photoshop(plugin: Plugin, path: Path, folder: Path | None) -> Installed:
    if folder is not None:
        raise InvalidRequest("Photoshop's plug-ins are installed by Adobe.", hint="Leave --dest out.")
    installer = next((command for command in adobe_installers() if Path(command[0]).is_file()), None)
    if installer is None:
        return Installed(
            plugin.name,
            path,
            done=False,
            next_step=f"Double-click {path}: the Creative Cloud app installs it. Then restart Photoshop.",
        )
    hint = f"Double-click {path} instead, with the Creative Cloud app running."
    try:
        done = subprocess.run(  # noqa: S603 - Adobe's own installer at its own fixed place
            [*installer, str(path)], capture_output=True, timeout=INSTALLER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PluginNotInstalled(f"{installer[0]} did not come to an end: {error}.", hint=hint) from error
    if done.returncode != 0:
        said = " ".join((done.stdout + done.stderr).decode(errors="replace").split()) or "it gave no reason"
        raise PluginNotInstalled(
            f"Adobe's installer refused {path.name} (status {done.returncode}): {said}", hint=hint
        )
    return Installed(
        plugin.name, path, done=True, next_step="Restart Photoshop, then open Plugins > GPEN Enhance."
    )


def adobe_installers() -> list[Sequence[str]]:
    """Commands that install the package behind them, on this system, best first."""
    if sys.platform == "win32":
        common = Path("C:/Program Files/Common Files/Adobe/Adobe Desktop Common/RemoteComponents/UPI")
        agent = common / "UnifiedPluginInstallerAgent/UnifiedPluginInstallerAgent.exe"
        return [(str(agent), "/install")]
    if sys.platform == "darwin":
        common = Path("/Library/Application Support/Adobe/Adobe Desktop Common/RemoteComponents/UPI")
        agent = common / "UnifiedPluginInstallerAgent/UnifiedPluginInstallerAgent.app/Contents/MacOS"
        return [(str(agent / "UnifiedPluginInstallerAgent"), "--install")]
    return []


# --- Lightroom Classic ------------------------------------------------------

LIGHTROOM_FOLDER = "gpen-enhance.lrplugin"
COMMAND_FILE = "installed.json"
"""Tells the plug-in how to start this bridge: its host knows no PATH. Not part of the package."""


def _lightroom_contents(folder: Path, bridge: str | None) -> dict[str, bytes]:
    if bridge is not None:
        raise InvalidRequest(
            "Lightroom's plug-in is told of another bridge in Lightroom.",
            hint="Pair it in the Plug-in Manager, under GPEN Enhance.",
        )
    contents = files_of(folder)
    contents.pop(COMMAND_FILE, None)
    return {f"{LIGHTROOM_FOLDER}/{name}": content for name, content in contents.items()}


def _install_in_lightroom(plugin: Plugin, path: Path, folder: Path | None) -> Installed:
    modules = folder or lightroom_modules()
    if modules is None:
        raise PluginNotInstalled(
            "Lightroom Classic does not run on this system.",
            hint=f"Name a folder with --dest, or unpack {path} and add the folder in the Plug-in Manager.",
        )
    target = modules / LIGHTROOM_FOLDER
    fresh, old = modules / f".{LIGHTROOM_FOLDER}.part", modules / f".{LIGHTROOM_FOLDER}.old"
    try:
        modules.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(fresh, ignore_errors=True)
        with zipfile.ZipFile(path) as archive:
            archive.extractall(fresh)
        command = json.dumps({"command": [sys.executable, "-m", "bridge", "serve"]}, ensure_ascii=False)
        (fresh / LIGHTROOM_FOLDER / COMMAND_FILE).write_text(command, encoding="utf-8")
        _replace(fresh / LIGHTROOM_FOLDER, target, old)
        fresh.rmdir()
    except OSError as error:
        raise OutputError(
            f"{target} cannot be written: {error}.", hint="Close Lightroom, then try again."
        ) from error
    return Installed(
        plugin.name,
        target,
        done=True,
        next_step="Restart Lightroom Classic: GPEN Enhance is in Library > Plug-in Extras.",
    )


def _replace(fresh: Path, target: Path, aside: Path) -> None:
    """Rename a folder to where another one may lie, so that there is never half of either.

    Args:
        aside: where the other one is kept meanwhile.

    Raises:
        OSError: it did not work, as on Windows where a program has a file of it open; the other one stays.
    """
    if target.exists():
        _discard(aside)
        target.rename(aside)
    try:
        fresh.rename(target)
    except OSError:
        if aside.exists():
            aside.rename(target)
        raise
    _discard(aside)  # what is left of it is hidden, and goes the next time


def _discard(folder: Path) -> None:
    if folder.is_symlink():  # somebody's own sources
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def lightroom_modules() -> Path | None:
    """Where Lightroom Classic looks for plug-ins of this user; None where it does not run."""
    if sys.platform == "win32":
        roaming = os.environ.get("APPDATA")
        base = Path(roaming) if roaming else Path.home() / "AppData" / "Roaming"
        return base / "Adobe" / "Lightroom" / "Modules"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Adobe" / "Lightroom" / "Modules"
    return None


PLUGINS: dict[str, Plugin] = {
    plugin.name: plugin
    for plugin in (
        Plugin(
            name="photoshop",
            title="Photoshop",
            folder="photoshop-uxp",
            suffix=".ccx",
            contents=_photoshop_contents,
            install=_install_in_photoshop,
        ),
        Plugin(
            name="lightroom",
            title="Lightroom Classic",
            folder=f"lightroom/{LIGHTROOM_FOLDER}",
            suffix=".zip",
            contents=_lightroom_contents,
            install=_install_in_lightroom,
        ),
    )
}
