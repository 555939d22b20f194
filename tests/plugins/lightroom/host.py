"""An emulated Lightroom Classic: the plug-in's Lua on real PUC Lua 5.1, everything around it watched.

`World` is what outlives the program: disk, catalogue, preferences, passwords. `Host` is one run of
the program in it, and can be killed. What the SDK does not have, a plug-in cannot use here either.
"""

from __future__ import annotations

import functools
import re
import subprocess
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lupa.lua51 as lupa

from tests.plugins.lightroom import surface
from tests.plugins.lightroom.catalog import Catalog, Photo
from tests.plugins.lightroom.darkroom import rendered
from tests.plugins.lightroom.disk import Disk
from tests.plugins.lightroom.wire import Wire, multipart

ROOT = Path(__file__).parents[3]
PLUGIN = ROOT / "plugins" / "lightroom" / "gpen-enhance.lrplugin"
PLUGIN_ID = "org.gpen-enhance.lightroom"
SDK = Path(__file__).parent / "sdk"
COCOA_EPOCH = 978307200
SPEED = 20.0
PATIENCE_SECONDS = 180.0

Person = Callable[["Dialog"], Generator[float, None, str]]


@dataclass
class World:
    """What is still there when the program is started again."""

    root: Path
    windows: bool = False
    language: str = "en"
    home: str = "home"
    prefs: dict[str, Any] = field(default_factory=dict)
    passwords: dict[tuple[str, str], str] = field(default_factory=dict)
    disk: Disk = field(init=False)
    catalog: Catalog = field(init=False)

    def __post_init__(self) -> None:
        self.disk = Disk(self.root, windows=self.windows, home=self.home)
        for folder in (self.home, "temp", "photos"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self.catalog = Catalog(self.disk.shown(self.root / "Main.lrcat"), PLUGIN_ID)

    @property
    def bridge_home(self) -> Path:
        """GPEN_HOME of the bridge that this user's plug-in finds."""
        return self.root / self.home / ".gpen-enhance"

    def add(self, name: str, *, folder: str = "photos", **facts: Any) -> Photo:
        """Put a photo on disk and into the catalogue."""
        real = self.root / folder / name
        real.parent.mkdir(parents=True, exist_ok=True)
        if not facts.get("offline"):
            real.write_bytes(b"raw bytes of " + name.encode())
        number = len(self.catalog.photos) + 1
        photo = Photo(f"UUID-{number:04d}", self.disk.shown(real), **facts)
        photo.develop.setdefault("Exposure2012", 0.1 * number)
        photo.raw.setdefault("dimensions", {"width": 96, "height": 64})
        photo.raw.setdefault("croppedDimensions", {"width": 96, "height": 64})
        self.catalog.photos[photo.uuid] = photo
        self.catalog.selected.append(photo.uuid)
        return photo

    def results(self) -> list[Photo]:
        """What the plug-in has added to the catalogue, in that order."""
        return [photo for uuid, photo in self.catalog.photos.items() if uuid.startswith("UUID-R")]

    def leftovers(self) -> list[str]:
        """Files that a run which has ended must not leave: rendered, fetched, recorded."""
        places = [self.bridge_home / "exchange", self.bridge_home / "lightroom", self.root / "temp"]
        found = [path for place in places for path in place.rglob("*") if path.is_file()]
        found += [path for path in self.root.rglob("*.part") if "outputs" not in path.parts]
        found += (self.bridge_home / "exchange").glob("lightroom-*")
        return sorted(str(path.relative_to(self.root)) for path in found)

    def virtual_copy(self, master: Photo, name: str = "Copy 1") -> Photo:
        """A virtual copy: the master's file, its own edits."""
        copy = Photo(f"{master.uuid}-copy", master.path, master=master.uuid)
        copy.formatted["copyName"] = name
        copy.develop = {**master.develop, "Contrast2012": 20}
        copy.raw = dict(master.raw)
        self.catalog.photos[copy.uuid] = copy
        self.catalog.selected.append(copy.uuid)
        return copy


@dataclass
class Message:
    """Something that the host showed."""

    style: str
    text: str
    info: str
    at: float = field(default_factory=time.monotonic)


class Dialog:
    """A dialog as a person sees it: controls are found by what they are bound to or what they say.

    Args:
        fetch: gives the Lua table. It is fetched anew each time: a table that Python got while a
            coroutine ran must not be held when that coroutine is gone (lupa keeps its state with it).
    """

    def __init__(self, host: Host, fetch: Callable[[], Any]) -> None:
        self._host = host
        self._fetch = fetch

    @property
    def _table(self) -> Any:
        return self._fetch()

    @property
    def title(self) -> str:
        return _text(self._table[b"arguments"][b"title"])

    def _views(self) -> Iterable[tuple[str, Any, Any]]:
        for pair in self._table[b"views"].values():
            view, bound_to = pair[1], pair[2]
            yield _text(view[b"kind"]), view[b"arguments"], bound_to

    def _shown(self, argument: Any, bound_to: Any) -> Any:
        return self._host.from_lua(self._host.kernel[b"shown"](argument, bound_to))

    def texts(self) -> list[str]:
        """Every text that is to be read."""
        found = []
        for _, arguments, bound_to in self._views():
            if arguments[b"title"] is not None and self._shown(arguments[b"visible"], bound_to) is not False:
                found.append(str(self._shown(arguments[b"title"], bound_to)))
        return found

    def _control(self, key: str) -> tuple[Any, Any]:
        for _, arguments, bound_to in self._views():
            value = arguments[b"value"]
            if lupa.lua_type(value) == "table" and value[b"key"] == key.encode():
                return arguments, bound_to
        raise AssertionError(f"no control is bound to {key}")

    def get(self, key: str) -> Any:
        arguments, bound_to = self._control(key)
        return self._shown(arguments[b"value"], bound_to)

    def set(self, key: str, value: Any) -> None:
        """Move a control."""
        arguments, bound_to = self._control(key)
        assert self._shown(arguments[b"enabled"], bound_to) is not False, f"{key} is disabled"
        self._host.kernel[b"set"](arguments[b"value"], bound_to, self._host.to_lua(value))

    def items(self, key: str) -> list[Any]:
        arguments, bound_to = self._control(key)
        return [item["value"] for item in self._shown(arguments[b"items"], bound_to)]

    def press(self, title: str) -> None:
        """Press a button."""
        for kind, arguments, bound_to in self._views():
            if kind == "push_button" and self._shown(arguments[b"title"], bound_to) == title:
                assert self._shown(arguments[b"enabled"], bound_to) is not False, f"{title} is disabled"
                arguments[b"action"](self._table)
                return
        raise AssertionError(f"no button {title}")

    def pictures(self) -> list[str]:
        return [
            self._shown(arguments[b"value"], bound_to)
            for kind, arguments, bound_to in self._views()
            if kind == "picture"
        ]


class Host:
    """One run of the program.

    Attributes:
        people: who answers the next modal dialogs, in order.
        answers: (pattern, verb) of the next confirm dialogs; one that matches none fails the test.
        plans: what happens to the render of a photo: (lag in seconds, "ok", "late", "skip" or a failure).
        cancel_when: called with the progress so far; true cancels.
    """

    def __init__(self, world: World, *, speed: float = SPEED) -> None:
        self.world = world
        self.speed = speed
        self.people: list[Person] = []
        self.answers: list[tuple[str, str]] = []
        self.plans: dict[str, tuple[float, str]] = {}
        self.default_plan: tuple[float, str] = (0.05, "ok")
        self.render_size = (96, 64)
        self.cancel_when: Callable[[Host], bool] = lambda _: False
        self.execute: Callable[[str], int] = lambda _: 127 * 256
        self.opened_panel: list[str] | None = None
        self.messages: list[Message] = []
        self.confirmations: list[Message] = []
        self.failures: list[str] = []
        self.logged: list[str] = []
        self.calls: Counter[str] = Counter()
        self.captions: list[str] = []
        self.portions: list[tuple[float, float]] = []
        self.urls: list[str] = []
        self.revealed: list[str] = []
        self.rendition_failures: list[tuple[str, str]] = []
        self.renders: Counter[str] = Counter()
        self.kill_at: tuple[str, int] | None = None
        self.cancel_at: tuple[str, int] | None = None
        self.gate_is_blocked: Callable[[], bool] = lambda: False
        self.canceled_at: float | None = None
        self._born = time.monotonic()
        self._late: dict[str, bytes] = {}
        self._executions: dict[int, tuple[threading.Event, list[int]]] = {}
        self._modals: list[Generator[float, None, str]] = []
        self._wake: dict[int, float] = {}
        self._progress = 0
        self._open_scopes: set[int] = set()
        self._prefs = dict(world.prefs)
        self.wire = Wire(self.now)
        self._load()

    # --- time ---------------------------------------------------------------

    def now(self) -> float:
        """Seconds since 2001, running `speed` times as fast as the world."""
        return 800_000_000 + (time.monotonic() - self._born) * self.speed

    # --- Lua <-> Python -----------------------------------------------------

    def to_lua(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        if isinstance(value, Path):
            return str(value).encode()
        if isinstance(value, dict):
            return self.lua.table_from({self.to_lua(key): self.to_lua(inner) for key, inner in value.items()})
        if isinstance(value, list):
            return self.lua.table_from([self.to_lua(inner) for inner in value])
        if isinstance(value, tuple):
            return tuple(self.to_lua(inner) for inner in value)
        return value

    def from_lua(self, value: Any) -> Any:
        if isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape")
        if lupa.lua_type(value) == "table":
            if self.kernel is not None and self.kernel[b"states"][value] is not None:
                return value
            content = {self.from_lua(key): self.from_lua(inner) for key, inner in value.items()}
            numbered = sorted(key for key in content if isinstance(key, int))
            if content and numbered == list(range(1, len(content) + 1)):
                return [content[key] for key in numbered]
            return content
        return value

    def _service(self, function: Callable[..., Any], *, in_luas_terms: bool = False) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            try:
                if in_luas_terms:
                    return function(*args)
                return self.to_lua(function(*[self.from_lua(arg) for arg in args]))
            except Exception:  # the emulator's own mistake, which the plug-in might swallow
                self.failures.append(traceback.format_exc())
                raise

        return call

    # --- the program --------------------------------------------------------

    def _load(self) -> None:
        self.kernel: Any = None
        self.lua = lupa.LuaRuntime(
            encoding=None, unpack_returned_tuples=True, register_eval=False, register_builtins=False
        )
        py = self.lua.table_from({name.encode(): call for name, call in self._services().items()})
        names = self.to_lua(
            {
                "namespaces": surface.NAMESPACES,
                "classes": surface.CLASSES,
                "properties": surface.PROPERTIES,
                "raw": dict.fromkeys(surface.RAW, True),
                "formatted": dict.fromkeys(surface.FORMATTED, True),
                "writable": dict.fromkeys(surface.WRITABLE, True),
                "export_keys": dict.fromkeys(surface.EXPORT_KEYS, True),
                "controls": {kind: dict.fromkeys(keys, True) for kind, keys in surface.CONTROLS.items()},
                "factory_functions": surface.FACTORY_FUNCTIONS,
                "globals": surface.GLOBALS,
            }
        )
        self.kernel = self._lua_file(SDK / "tasks.lua", py, names)
        for name in ("system", "catalog", "dialogs", "export"):
            self._lua_file(SDK / f"{name}.lua", py, self.kernel, names)
        self.environment = self._environment()

    def _lua_file(self, path: Path, *args: Any) -> Any:
        chunk = self.lua.eval(b"assert(loadstring(...))", path.read_bytes(), f"@sdk/{path.name}".encode())
        return chunk(*args)  # the chunk's own arguments: `local py, K = ...`

    def _environment(self) -> Any:
        given: dict[bytes, Any] = {
            b"_PLUGIN": self.kernel[b"plugin"],
            b"LOC": self._service(self.loc),
            b"io": self.kernel[b"io"],
            b"os": self.lua.table_from(
                {
                    b"time": lambda *_: time.time(),
                    b"clock": time.monotonic,
                    b"date": self._service(lambda form="%c", *_: datetime.now(tz=UTC).strftime(form)),
                }
            ),
        }
        given[b"WIN_ENV" if self.world.windows else b"MAC_ENV"] = True
        return self.kernel[b"sandbox"](self.lua.table_from(given), self._package, self.kernel[b"imports"])

    def _package(self, name: bytes) -> Any:
        return self.kernel[b"chunk"]((PLUGIN / f"{name.decode()}.lua").read_bytes(), name + b".lua")

    def require(self, name: str) -> Any:
        """A module of the plug-in, loaded once."""
        return self.environment[b"require"](name.encode())

    def script(self, name: str) -> Any:
        """Run a script of the plug-in, as a menu does; gives what it returns."""
        return self._package(name.removesuffix(".lua").encode())(self.environment)

    def menu(self, name: str) -> None:
        """Choose a menu item and wait until nothing is going on any more."""
        self.script(name)
        self.run()

    def call(self, function: Any, *args: Any) -> Any:
        """Call a Lua function inside a task; gives its results in Python's terms."""
        results: list[Any] = []
        keep = self.lua.execute(
            b"local K, f, keep, a, b, c, d = ... K.spawn('test', function() keep(f(a, b, c, d)) end)",
            self.kernel,
            function,
            lambda *values: results.extend(self.from_lua(value) for value in values),
            *[self.to_lua(arg) for arg in args],
        )
        assert keep is None
        self.run()
        assert self.failures == [], self.failures
        return results[0] if len(results) == 1 else tuple(results)

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Let the tasks go on until all are done, the host is killed, or `until` says so."""
        began = time.monotonic()
        while not until():
            alive, soonest = self.kernel[b"step"]()
            if self.kernel[b"dead"]:
                if self.world.catalog._undo is not None:
                    self.world.catalog.close_gate(False)
                return
            if not alive:
                break
            if soonest is not None:
                time.sleep(max(0.0, min((soonest - self.now()) / self.speed, 0.02)))
            assert time.monotonic() - began < PATIENCE_SECONDS, (
                f"tasks do not end; last: {self.captions[-3:]}"
            )

    def quit(self) -> None:
        """End the program properly: only now preferences are sure to be on disk."""
        assert not self.world.disk.open_handles, f"file loops left by break: {self.world.disk.open_handles}"
        assert not self._open_scopes, "a progress bar was left behind"
        self.world.prefs = dict(self._prefs)

    def kill(self) -> None:
        """End the program in the middle of whatever it does."""
        self.kernel[b"dead"] = True

    # --- exporting through the host's own dialog ----------------------------

    def export_service(self, photos: list[Photo], settings: dict[str, Any]) -> None:
        provider = self.script("ExportService")
        objects = self.lua.table_from(
            [self.kernel[b"object"](b"photo", photo.uuid.encode()) for photo in photos]
        )
        self.kernel[b"runService"](provider, objects, self.to_lua(settings))
        self.run()

    def export_filter(self, photos: list[Photo], settings: dict[str, Any]) -> dict[str, bool]:
        """What the host has at the end: path -> whether the rendition counts as done."""
        told: dict[str, bool] = {}
        provider = self.script("ExportFilter")
        objects = self.lua.table_from(
            [self.kernel[b"object"](b"photo", photo.uuid.encode()) for photo in photos]
        )
        tell = self._service(lambda path, fine: told.__setitem__(path, fine))
        self.kernel[b"runFilter"](provider, objects, self.to_lua(settings), tell)
        self.run()
        return told

    # --- services for the Lua side ------------------------------------------

    def _services(self) -> dict[str, Callable[..., Any]]:
        disk, catalog = self.world.disk, self.world.catalog
        plain = {
            "now": self.now,
            "called": self._called,
            "task_failed": lambda name, why: self.failures.append(f"{name}: {why}"),
            "surface_of": lambda name: surface.NAMESPACES[name],
            # files
            "path": disk.path,
            "entries": disk.entries,
            "opened": disk.opened,
            "closed": disk.closed,
            "unique_name": disk.unique_name,
            "copy": disk.copy,
            "move": disk.move,
            "trash": disk.trash,
            "delete": disk.delete,
            "exists": disk.exists,
            "attributes": disk.attributes,
            "is_writable": disk.is_writable,
            "make_folders": disk.make_folders,
            "read_file": disk.read_file,
            "free_bytes": disk.free_bytes,
            "io_path": disk.io_path,
            # the system
            "execute": self._execute,
            "executed": lambda ticket: self._executions[ticket][0].is_set(),
            "execute_status": lambda ticket: self._executions[ticket][1][0],
            "opened_url": self.urls.append,
            "revealed": self.revealed.append,
            "language": lambda: self.world.language,
            "date": self._date,
            "log": lambda level, text: self.logged.append(f"{level}: {text}"),
            "has_resource": lambda name: (PLUGIN / name).exists(),
            "plugin_id": lambda: PLUGIN_ID,
            "plugin_path": lambda: str(PLUGIN),
            "pref": self._prefs.get,
            "set_pref": self._prefs.__setitem__,
            "password": lambda key, salt: self.world.passwords.get((key, salt)),
            "store_password": lambda key, value, salt: self.world.passwords.__setitem__((key, salt), value),
            # dialogs
            "confirm": self._confirm,
            "message": lambda style, text, info: self.messages.append(Message(style, text, info)),
            "modal": self._modal,
            "modal_result": self._modal_result,
            "open_panel": lambda _: self.opened_panel,
            "progress_begin": self._progress_begin,
            "progress_caption": lambda _, text: self.captions.append(text),
            "progress": lambda _, done, total: self.portions.append((done, total)),
            "progress_done": lambda ticket: self._open_scopes.discard(ticket),
            "progress_canceled": self._is_canceled,
            # the catalogue
            "gate_blocked": lambda: self.gate_is_blocked(),
            "gate_open": lambda _: catalog.open_gate(),
            "gate_close": catalog.close_gate,
            "born_in_gate": catalog.born_in_gate,
            "is_there": catalog.is_there,
            "raw": catalog.raw,
            "formatted": catalog.formatted,
            "set_raw": self._set_raw,
            "available": lambda uuid: not catalog.photos[uuid].offline,
            "develop": lambda uuid: dict(catalog.photos[uuid].develop),
            "property": self._property,
            "set_property": self._set_property,
            "add_keyword": catalog.add_keyword,
            "keyword_name": lambda id_: catalog.keywords[id_][0],
            "create_keyword": catalog.create_keyword,
            "create_collection": catalog.create_collection,
            "collections": lambda: list(catalog.collections),
            "collection_name": lambda id_: catalog.collections[id_][0],
            "collection_is_smart": lambda id_: catalog.collections[id_][1],
            "collection_photos": lambda id_: list(catalog.collections[id_][2]),
            "collection_add": self._collection_add,
            "collection_set": lambda id_, ids: catalog.set_members(id_, list(ids)),
            "collection_remove": lambda id_, ids: catalog.set_members(
                id_, [one for one in catalog.collections[id_][2] if one not in ids]
            ),
            "add_photo": self._add_photo,
            "find_path": lambda path, exact: catalog.find_path(path, exact is not False),
            "find_uuid": lambda uuid: uuid if uuid in catalog.photos else None,
            "find_property": lambda _, name: catalog.find_property(name),
            "catalog_path": lambda: catalog.path,
            "active_photo": lambda: catalog.selected[0] if catalog.selected else None,
            "target_photos": lambda: list(catalog.selected) or list(catalog.photos),
            "select": self._select,
            # renders
            "render_plan": lambda uuid: self.plans.get(uuid, self.default_plan),
            "destination": self._destination,
            "render": self._render,
            "render_rest": self._render_rest,
            "rendition_failed": lambda uuid, why: self.rendition_failures.append((uuid, why)),
            "host_temp": lambda: disk.shown(self._host_temp()),
            "drop_host_temp": self._drop_host_temp,
            "executed_url": self.urls.append,
        }
        services = {name: self._service(function) for name, function in plain.items()}
        in_luas_terms = {
            "http": self._http,
            "http_done": lambda ticket: self.wire.done(ticket),
            "http_result": self._http_result,
            "multipart": self._multipart,
        }
        for name, function in in_luas_terms.items():
            services[name] = self._service(function, in_luas_terms=True)
        return services

    def _called(self, label: str) -> None:
        self.calls[label] += 1
        if self.kill_at == (label, self.calls[label]):
            self.kill()
        if self.cancel_at == (label, self.calls[label]):
            self.canceled_at = time.monotonic()

    def _execute(self, command: str) -> int:
        done, status = threading.Event(), [0]

        def work() -> None:
            status[0] = self.execute(command)
            done.set()

        threading.Thread(target=work, daemon=True).start()
        self._executions[len(self._executions) + 1] = (done, status)
        return len(self._executions)

    @staticmethod
    def _date(cocoa: float, form: str) -> str:
        return datetime.fromtimestamp(cocoa + COCOA_EPOCH, tz=UTC).strftime(form)

    def loc(self, text: str, *args: Any) -> str:
        """What LOC makes of "$$$/Key=English ^1"."""
        found = re.fullmatch(r"(\$\$\$/[\w/]+)=(.*)", text, re.DOTALL)
        assert found, f"LOC of something that is no key: {text}"
        assert found[2].isascii(), f"LOC takes 7-bit text: {text}"
        words = self.dictionary().get(found[1], found[2])

        def escape(mark: re.Match[str]) -> str:
            what = mark[1]
            if what.startswith("U+"):
                return chr(int(what[2:], 16))
            if what.isdecimal():
                given = args[int(what) - 1]
                return str(int(given)) if isinstance(given, float) and given.is_integer() else str(given)
            return {"n": "\n", ".": "…", "[": "[", "]": "]"}[what]

        return re.sub(r"\^(U\+[0-9A-Fa-f]{4}|\d|n|\.|\[|\])", escape, words)

    def dictionary(self) -> dict[str, str]:
        """The translated strings of the host's language."""
        path = PLUGIN / f"TranslatedStrings_{self.world.language}.txt"
        if not path.exists():
            return {}
        lines = path.read_text("utf-8").splitlines()
        return dict(line.strip('"').split("=", 1) for line in lines)

    # --- people -------------------------------------------------------------

    def _confirm(self, message: str, info: str, *verbs: str) -> str:
        self.confirmations.append(Message("confirm", message, info))
        if self.answers and re.search(self.answers[0][0], message):
            return self.answers.pop(0)[1]
        self.failures.append(f"nobody expected: {message} ({', '.join(verbs)})")
        return "cancel"

    def _modal(self, title: str) -> int:
        ticket = len(self._modals) + 1
        if not self.people:
            self.failures.append(f"nobody expected the dialog {title}")
            self.people.append(_nobody)
        self._modals.append(self.people.pop(0)(Dialog(self, lambda: self.kernel[b"dialogs"][ticket])))
        self._wake[ticket] = self.now()
        return ticket

    def _modal_result(self, ticket: int) -> str | None:
        if self.now() < self._wake[ticket]:
            return None
        try:
            self._wake[ticket] = self.now() + next(self._modals[int(ticket) - 1])
        except StopIteration as end:
            return end.value or "cancel"
        except Exception:  # a test's own assertion must not look like the plug-in's error
            self.failures.append(traceback.format_exc())
            return "cancel"
        return None

    def _progress_begin(self, _title: str) -> int:
        self._progress += 1
        self._open_scopes.add(self._progress)
        return self._progress

    def _is_canceled(self, _ticket: int) -> bool:
        if self.canceled_at is None and self.cancel_when(self):
            self.canceled_at = time.monotonic()
        return self.canceled_at is not None

    # --- HTTP ---------------------------------------------------------------

    def _http(self, method: bytes, url: bytes, body: bytes | None, headers: Any, timeout: float) -> int:
        return self.wire.start(
            method.decode(), url.decode(), body or b"", self.from_lua(headers) or [], timeout
        )

    def _http_result(self, ticket: int) -> Any:
        content, status, fields, failure = self.wire.result(ticket)
        return content, status, self.to_lua(fields), self.to_lua(failure)

    def _multipart(self, chunks: Any) -> Any:
        body, kind = multipart(self.from_lua(chunks), lambda path: self.world.disk.real(path).read_bytes())
        return body, kind.encode()

    # --- the catalogue ------------------------------------------------------

    def _set_raw(self, uuid: str, key: str, value: Any) -> str | None:
        if isinstance(value, str) and "\n" in value:
            return "multi-line text uses U+2028"
        if key == "pickStatus" and value not in (-1, 0, 1):
            return f"pickStatus {value}"
        self.world.catalog.set_raw(uuid, key, value)
        return None

    @functools.cached_property
    def declared(self) -> dict[str, dict[str, Any]]:
        """The fields of the metadata provider by id."""
        provider = self.from_lua(self.script("MetadataDefinition"))
        return {entry["id"]: entry for entry in provider["metadataFieldsForPhotos"]}

    def _property(self, uuid: str, plugin: str, name: str) -> Any:
        return self.world.catalog.photos[uuid].properties.get(name) if plugin == PLUGIN_ID else None

    def _set_property(self, uuid: str, name: str, value: Any) -> str | None:
        entry = self.declared.get(name)
        if entry is None:
            return f"no metadata field {name} is declared"
        if value is not None and not isinstance(value, str):
            return f"{name} takes text"
        if entry["dataType"] == "enum" and value not in [one["value"] for one in entry["values"]]:
            return f"{name} does not take {value}"
        if entry.get("searchable") and value is not None and len(value.encode()) > 511:
            return f"{name} is searchable and takes at most 511 bytes"
        self.world.catalog.set_property(uuid, name, value)
        return None

    def _collection_add(self, id_: str, ids: list[str]) -> None:
        members = self.world.catalog.collections[id_][2]
        self.world.catalog.set_members(id_, members + [one for one in ids if one not in members])

    def _add_photo(self, path: str, stack_with: str | None, position: str) -> tuple[str | None, str | None]:
        catalog = self.world.catalog
        if self.world.disk.exists(path) != "file":
            return None, f"addPhoto: no file at {path}"
        if not path.lower().endswith((".tif", ".jpg", ".png", ".psd")):
            return None, f"addPhoto: unsupported {path}"
        if catalog.find_path(path, True):
            return None, f"addPhoto: {path} is in the catalog already"
        photo = Photo(catalog.new_id("UUID-R"), path, format="TIFF" if path.endswith("tif") else "JPG")
        catalog.add_photo(photo, stack_with, position)
        return photo.uuid, None

    def _select(self, active: str, others: list[str]) -> None:
        self.world.catalog.selected = [active, *[one for one in others if one != active]]

    # --- renders ------------------------------------------------------------

    def _host_temp(self) -> Path:
        folder = self.world.root / "temp" / "host"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _drop_host_temp(self) -> None:
        for path in self._host_temp().iterdir():
            path.unlink()

    def _destination(self, uuid: str, settings: dict[str, Any], extension: str) -> str:
        disk = self.world.disk
        folder = settings.get("LR_export_destinationPathPrefix") or disk.shown(self._host_temp())
        leaf = disk.path("leafName", self.world.catalog.photos[uuid].path)
        name = disk.path("removeExtension", leaf) + "." + extension
        return disk.unique_name(disk.path("child", folder, name))

    def _render(self, uuid: str, settings: dict[str, Any], path: str, late: bool) -> Any:
        photo, disk = self.world.catalog.photos[uuid], self.world.disk
        if photo.offline and not photo.smart_preview:
            return None, "dng_error_file_not_found"
        problem = disk._problem(path)
        if problem:
            return None, problem
        self.renders[uuid] += 1
        data = rendered(uuid, photo.develop, settings, self.render_size)
        disk.real(path).write_bytes(data[: len(data) // 2] if late else data)
        if late:
            self._late[path] = data
        return path

    def _render_rest(self, path: str) -> None:
        if self.world.disk.real(path).exists():
            self.world.disk.real(path).write_bytes(self._late[path])


def _nobody(_: Dialog) -> Generator[float, None, str]:
    """Closes a dialog that no test expected."""
    yield 0.0
    return "cancel"


def run_for_real(command: str) -> int:
    """LrTasks.execute on a POSIX host: the shell's exit status times 256."""
    return subprocess.run(command, shell=True, check=False).returncode * 256  # noqa: S602 - as the host does


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
