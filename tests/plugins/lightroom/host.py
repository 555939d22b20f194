"""An emulated Lightroom Classic: the plug-in's Lua on real PUC Lua 5.1, everything around it watched.

`World` is what outlives the program: disk, catalogue, preferences, passwords. `Host` is one run of
the program in it, and can be killed. What the SDK does not have, a plug-in cannot use here either.
"""

from __future__ import annotations

import subprocess
import time
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lupa.lua51 as lupa

from tests.plugins.lightroom import surface
from tests.plugins.lightroom.catalog import Photo
from tests.plugins.lightroom.person import Message, Person
from tests.plugins.lightroom.services import Services
from tests.plugins.lightroom.wire import Wire
from tests.plugins.lightroom.world import PLUGIN, World

SDK = Path(__file__).parent / "sdk"
SPEED = 20.0
PATIENCE_SECONDS = 180.0


class Host:
    """One run of the program.

    Attributes:
        people: who answers the next modal dialogs, in order.
        answers: (pattern, verb) of the next confirm dialogs; one that matches none fails the test.
        plans: what happens to the render of a photo: (lag in seconds, "ok", "late", "empty", "skip" or a
            failure).
        renders_backwards: an export service is given the last photo first.
        stepped: the clock does not mind how busy the machine is; for what is said in seconds.
        cancel_when: called with the progress so far; true cancels.
    """

    def __init__(self, world: World, *, speed: float = SPEED, stepped: bool = False) -> None:
        self.world = world
        self.speed = speed
        self.people: list[Person] = []
        self.answers: list[tuple[str, str]] = []
        self.plans: dict[str, tuple[float, str]] = {}
        self.default_plan: tuple[float, str] = (0.05, "ok")
        self.render_size = (96, 64)
        self.renders_backwards = False
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
        self.render_settings: dict[str, dict[str, Any]] = {}
        self.kill_at: tuple[str, int] | None = None
        self.cancel_at: tuple[str, int] | None = None
        self.gate_is_blocked: Callable[[], bool] = lambda: False
        self.canceled_at: float | None = None
        self._born = time.monotonic()
        self._stepped = 0.0 if stepped else None
        self.prefs = dict(world.prefs)
        self.wire = Wire(self.now, world.authority)
        self._services = Services(self)
        self._load()

    # --- time ---------------------------------------------------------------

    def now(self) -> float:
        """Seconds since 2001: `speed` times as fast as the world, or stepping while nothing is due."""
        if self._stepped is not None:
            return 800_000_000 + self._stepped
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

    def service(self, function: Callable[..., Any], *, in_luas_terms: bool = False) -> Callable[..., Any]:
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
        py = self.lua.table_from({name.encode(): call for name, call in self._services.all().items()})
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
            b"LOC": self.service(self._services.loc),
            b"io": self.kernel[b"io"],
            b"os": self.lua.table_from(
                {
                    b"time": lambda *_: time.time(),
                    b"clock": time.monotonic,
                    b"date": self.service(lambda form="%c", *_: datetime.now(tz=UTC).strftime(form)),
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
            if soonest is not None and self._stepped is not None:
                self._stepped += max(0.0, min(soonest - self.now(), 0.02))
                time.sleep(0.001)
            elif soonest is not None:
                time.sleep(max(0.0, min((soonest - self.now()) / self.speed, 0.02)))
            assert time.monotonic() - began < PATIENCE_SECONDS, (
                f"tasks do not end; last: {self.captions[-3:]}"
            )

    def quit(self) -> None:
        """End the program properly: only now preferences are sure to be on disk."""
        assert not self.world.disk.open_handles, f"file loops left by break: {self.world.disk.open_handles}"
        assert not self._services.open_scopes, "a progress bar was left behind"
        self.world.prefs = dict(self.prefs)

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
        tell = self.service(lambda path, fine: told.__setitem__(path, fine))
        self.kernel[b"runFilter"](provider, objects, self.to_lua(settings), tell)
        self.run()
        return told


def run_for_real(command: str) -> int:
    """LrTasks.execute on a POSIX host: the shell's exit status times 256."""
    return subprocess.run(command, shell=True, check=False).returncode * 256  # noqa: S602 - as the host does
