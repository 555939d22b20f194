"""What Python does for the emulator's Lua side: files, HTTP, the catalogue, dialogs, renders."""

from __future__ import annotations

import functools
import re
import threading
import traceback
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.plugins.lightroom import surface
from tests.plugins.lightroom.catalog import Photo
from tests.plugins.lightroom.darkroom import rendered
from tests.plugins.lightroom.person import Dialog, Message, nobody
from tests.plugins.lightroom.world import PLUGIN, PLUGIN_ID

if TYPE_CHECKING:
    from tests.plugins.lightroom.host import Host

COCOA_EPOCH = 978307200


class Services:
    """The services of one run of the program; what they remember lies in the `Host`."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.open_scopes: set[int] = set()
        self._late: dict[str, bytes] = {}
        self._executions: dict[int, tuple[threading.Event, list[int]]] = {}
        self._modals: list[Generator[float, None, str]] = []
        self._wake: dict[int, float] = {}
        self._progress = 0

    def all(self) -> dict[str, Callable[..., Any]]:
        """Every service by the name that Lua calls it by."""
        disk, catalog = self._host.world.disk, self._host.world.catalog
        plain = {
            "now": self._host.now,
            "called": self._called,
            "task_failed": lambda name, why: self._host.failures.append(f"{name}: {why}"),
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
            "opened_url": self._host.urls.append,
            "revealed": self._host.revealed.append,
            "language": lambda: self._host.world.language,
            "date": self._date,
            "log": lambda level, text: self._host.logged.append(f"{level}: {text}"),
            "has_resource": lambda name: (PLUGIN / name).exists(),
            "plugin_id": lambda: PLUGIN_ID,
            "plugin_path": lambda: str(PLUGIN),
            "pref": self._host.prefs.get,
            "set_pref": self._host.prefs.__setitem__,
            "password": lambda key, salt: self._host.world.passwords.get((key, salt)),
            "store_password": lambda key, value, salt: self._host.world.passwords.__setitem__(
                (key, salt), value
            ),
            # dialogs
            "confirm": self._confirm,
            "message": lambda style, text, info: self._host.messages.append(
                Message(style, text, info, self._host.now())
            ),
            "modal": self._modal,
            "modal_result": self._modal_result,
            "open_panel": lambda _: self._host.opened_panel,
            "progress_begin": self._progress_begin,
            "progress_caption": lambda _, text: self._host.captions.append(text),
            "progress": lambda _, done, total: self._host.portions.append((done, total)),
            "progress_done": lambda ticket: self.open_scopes.discard(ticket),
            "progress_canceled": self._is_canceled,
            # the catalogue
            "gate_blocked": lambda: self._host.gate_is_blocked(),
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
            "render_plan": lambda uuid: self._host.plans.get(uuid, self._host.default_plan),
            "renders_backwards": lambda: self._host.renders_backwards,
            "destination": self._destination,
            "render": self._render,
            "render_rest": self._render_rest,
            "rendition_failed": lambda uuid, why: self._host.rendition_failures.append((uuid, why)),
            "host_temp": lambda: disk.shown(self._host_temp()),
            "drop_host_temp": self._drop_host_temp,
            "executed_url": self._host.urls.append,
        }
        services = {name: self._host.service(function) for name, function in plain.items()}
        in_luas_terms = {
            "http": self._http,
            "http_done": lambda ticket: self._host.wire.done(ticket),
            "http_result": self._http_result,
        }
        for name, function in in_luas_terms.items():
            services[name] = self._host.service(function, in_luas_terms=True)
        return services

    def _called(self, label: str) -> None:
        self._host.calls[label] += 1
        if self._host.kill_at == (label, self._host.calls[label]):
            self._host.kill()
        if self._host.cancel_at == (label, self._host.calls[label]):
            self._host.canceled_at = self._host.now()

    def _execute(self, command: str) -> int:
        done, status = threading.Event(), [0]

        def work() -> None:
            status[0] = self._host.execute(command)
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
        path = PLUGIN / f"TranslatedStrings_{self._host.world.language}.txt"
        if not path.exists():
            return {}
        lines = path.read_text("utf-8").splitlines()
        return dict(line.strip('"').split("=", 1) for line in lines)

    # --- people -------------------------------------------------------------

    def _confirm(self, message: str, info: str, *verbs: str) -> str:
        self._host.confirmations.append(Message("confirm", message, info, self._host.now()))
        if self._host.answers and re.search(self._host.answers[0][0], message):
            return self._host.answers.pop(0)[1]
        self._host.failures.append(f"nobody expected: {message} ({', '.join(verbs)})")
        return "cancel"

    def _modal(self, title: str) -> int:
        ticket = len(self._modals) + 1
        if not self._host.people:
            self._host.failures.append(f"nobody expected the dialog {title}")
            self._host.people.append(nobody)
        self._modals.append(
            self._host.people.pop(0)(Dialog(self._host, lambda: self._host.kernel[b"dialogs"][ticket]))
        )
        self._wake[ticket] = self._host.now()
        return ticket

    def _modal_result(self, ticket: int) -> str | None:
        if self._host.now() < self._wake[ticket]:
            return None
        try:
            self._wake[ticket] = self._host.now() + next(self._modals[int(ticket) - 1])
        except StopIteration as end:
            return end.value or "cancel"
        except Exception:  # a test's own assertion must not look like the plug-in's error
            self._host.failures.append(traceback.format_exc())
            return "cancel"
        return None

    def _progress_begin(self, _title: str) -> int:
        self._progress += 1
        self.open_scopes.add(self._progress)
        return self._progress

    def _is_canceled(self, _ticket: int) -> bool:
        if self._host.canceled_at is None and self._host.cancel_when(self._host):
            self._host.canceled_at = self._host.now()
        return self._host.canceled_at is not None

    # --- HTTP ---------------------------------------------------------------

    def _http(self, method: bytes, url: bytes, body: bytes | None, headers: Any, timeout: float) -> int:
        return self._host.wire.start(
            method.decode(), url.decode(), body or b"", self._host.from_lua(headers) or [], timeout
        )

    def _http_result(self, ticket: int) -> Any:
        content, status, fields, failure = self._host.wire.result(ticket)
        return content, status, self._host.to_lua(fields), self._host.to_lua(failure)

    # --- the catalogue ------------------------------------------------------

    def _set_raw(self, uuid: str, key: str, value: Any) -> str | None:
        if isinstance(value, str) and "\n" in value:
            return "multi-line text uses U+2028"
        if key == "pickStatus" and value not in (-1, 0, 1):
            return f"pickStatus {value}"
        self._host.world.catalog.set_raw(uuid, key, value)
        return None

    @functools.cached_property
    def declared(self) -> dict[str, dict[str, Any]]:
        """The fields of the metadata provider by id."""
        provider = self._host.from_lua(self._host.script("MetadataDefinition"))
        return {entry["id"]: entry for entry in provider["metadataFieldsForPhotos"]}

    def _property(self, uuid: str, plugin: str, name: str) -> Any:
        return self._host.world.catalog.photos[uuid].properties.get(name) if plugin == PLUGIN_ID else None

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
        self._host.world.catalog.set_property(uuid, name, value)
        return None

    def _collection_add(self, id_: str, ids: list[str]) -> None:
        members = self._host.world.catalog.collections[id_][2]
        self._host.world.catalog.set_members(id_, members + [one for one in ids if one not in members])

    def _add_photo(self, path: str, stack_with: str | None, position: str) -> tuple[str | None, str | None]:
        catalog = self._host.world.catalog
        if self._host.world.disk.exists(path) != "file":
            return None, f"addPhoto: no file at {path}"
        if not path.lower().endswith((".tif", ".jpg", ".png", ".psd")):
            return None, f"addPhoto: unsupported {path}"
        if catalog.find_path(path, True):
            return None, f"addPhoto: {path} is in the catalog already"
        photo = Photo(catalog.new_id("UUID-R"), path, format="TIFF" if path.endswith("tif") else "JPG")
        catalog.add_photo(photo, stack_with, position)
        return photo.uuid, None

    def _select(self, active: str, others: list[str]) -> None:
        self._host.world.catalog.selected = [active, *[one for one in others if one != active]]

    # --- renders ------------------------------------------------------------

    def _host_temp(self) -> Path:
        folder = self._host.world.root / "temp" / "host"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _drop_host_temp(self) -> None:
        for path in self._host_temp().iterdir():
            path.unlink()

    def _destination(self, uuid: str, settings: dict[str, Any], extension: str) -> str:
        disk = self._host.world.disk
        folder = settings.get("LR_export_destinationPathPrefix") or disk.shown(self._host_temp())
        leaf = disk.path("leafName", self._host.world.catalog.photos[uuid].path)
        name = disk.path("removeExtension", leaf) + "." + extension
        return disk.unique_name(disk.path("child", folder, name))

    def _render(self, uuid: str, settings: dict[str, Any], path: str, outcome: str) -> Any:
        photo, disk = self._host.world.catalog.photos[uuid], self._host.world.disk
        if photo.offline and not photo.smart_preview:
            return None, "dng_error_file_not_found"
        problem = disk._problem(path)
        if problem:
            return None, problem
        self._host.renders[uuid] += 1
        self._host.render_settings[uuid] = settings
        data = rendered(uuid, photo.develop, settings, self._host.render_size)
        written = {"ok": len(data), "late": len(data) // 2, "empty": 0}[outcome]
        disk.real(path).write_bytes(data[:written])
        if outcome == "late":
            self._late[path] = data
        return path

    def _render_rest(self, path: str) -> None:
        if self._host.world.disk.real(path).exists():
            self._host.world.disk.real(path).write_bytes(self._late[path])
