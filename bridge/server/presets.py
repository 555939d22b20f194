"""The user's presets, one JSON file each; serves /v1/presets.

What a preset means is said in `bridge/presets.py`; built-in ones cannot be changed.
"""

from __future__ import annotations

import asyncio
import hashlib
import unicodedata
from pathlib import Path

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from bridge.atomic import private_folder, write_file
from bridge.errors import InvalidRequest, OutputError, PresetReadOnly, PresetUnknown
from bridge.presets import BUILT_IN, Parameters, Preset, PresetName
from bridge.protocol.service import PresetBody, PresetList
from bridge.server.body import read_question
from bridge.server.route import Route, answer

_NAME: TypeAdapter[str] = TypeAdapter(PresetName)


class PresetStore:
    """Built-in presets and those of one folder. Files that cannot be read are passed over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def all(self) -> tuple[Preset, ...]:
        """Built-in presets first, then the user's by name."""
        own = [preset for path in self._folder.glob("*.json") if (preset := _read(path))]
        return (*BUILT_IN.values(), *sorted(own, key=lambda preset: preset.name))

    def get(self, name: str) -> Preset:
        """A preset by its name.

        Raises:
            PresetUnknown: there is none.
        """
        preset = BUILT_IN.get(name) or _read(self._path(name))
        if preset is None:
            raise PresetUnknown(f"There is no preset named {name}.")
        return preset

    def put(self, name: str, parameters: Parameters) -> Preset:
        """Create a preset or replace it.

        Raises:
            PresetReadOnly: a built-in one has this name.
            InvalidRequest: the name has characters that names do not have.
            OutputError: it cannot be saved; nothing changed.
        """
        if name in BUILT_IN:
            raise PresetReadOnly(f"{name} is built in.")
        try:
            _NAME.validate_python(name)
        except ValidationError as error:
            raise InvalidRequest(
                "A preset's name has 1 to 64 letters, digits, spaces and . ( ) + - _ and begins with a "
                "letter or digit."
            ) from error
        preset = Preset(name=unicodedata.normalize("NFC", name), parameters=parameters)
        private_folder(self._folder)
        write_file(self._path(name), preset.model_dump_json(indent=1).encode())
        return preset

    def delete(self, name: str) -> None:
        """Remove a user preset.

        Raises:
            PresetReadOnly: it is built in.
            PresetUnknown: there is none.
            OutputError: the file cannot be removed.
        """
        if name in BUILT_IN:
            raise PresetReadOnly(f"{name} is built in.")
        try:
            self._path(name).unlink()
        except FileNotFoundError as error:
            raise PresetUnknown(f"There is no preset named {name}.") from error
        except OSError as error:
            raise OutputError(f"The preset {name} cannot be removed: {error.strerror}.") from error

    def _path(self, name: str) -> Path:
        # Not the name itself: file systems differ on case, accents and reserved names.
        normal = unicodedata.normalize("NFC", name).encode("utf-8", "surrogateescape")
        return self._folder / f"{hashlib.sha256(normal).hexdigest()[:32]}.json"


def _read(path: Path) -> Preset | None:
    try:
        return Preset.model_validate_json(path.read_bytes()).model_copy(update={"built_in": False})
    except (OSError, ValidationError):
        return None


PRESETS = web.AppKey("presets", PresetStore)


async def list_presets(request: web.Request) -> web.StreamResponse:
    """Built-in and user presets."""
    return answer(PresetList(presets=await asyncio.to_thread(request.app[PRESETS].all)))


async def get_preset(request: web.Request) -> web.StreamResponse:
    """One preset."""
    return answer(await asyncio.to_thread(request.app[PRESETS].get, request.match_info["name"]))


async def put_preset(request: web.Request) -> web.StreamResponse:
    """Create or replace a user preset."""
    body = await read_question(request, PresetBody)
    name = request.match_info["name"]
    return answer(await asyncio.to_thread(request.app[PRESETS].put, name, body.parameters))


async def delete_preset(request: web.Request) -> web.StreamResponse:
    """Remove a user preset."""
    await asyncio.to_thread(request.app[PRESETS].delete, request.match_info["name"])
    return web.Response(status=204)


ROUTES = (
    Route("GET", "/v1/presets", list_presets, gives=PresetList),
    Route("GET", "/v1/presets/{name}", get_preset, gives=Preset, errors=(PresetUnknown,)),
    Route(
        "PUT",
        "/v1/presets/{name}",
        put_preset,
        takes=PresetBody,
        gives=Preset,
        errors=(InvalidRequest, PresetReadOnly, OutputError),
    ),
    Route("DELETE", "/v1/presets/{name}", delete_preset, errors=(PresetUnknown, PresetReadOnly, OutputError)),
)
