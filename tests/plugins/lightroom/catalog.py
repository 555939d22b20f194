"""The catalogue of the emulated host: photos, keywords, collections, stacks; with undo.

Lives in Python so that it outlives a killed host. Every change is written into the undo log of the
open gate; a gate that does not close by itself is undone as a whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.plugins.lightroom.surface import FORMATTED, RAW


@dataclass
class Photo:
    """One entry of the catalogue: what the host knows about a photo."""

    uuid: str
    path: str
    format: str = "RAW"
    video: bool = False
    offline: bool = False
    smart_preview: bool = False
    master: str | None = None
    raw: dict[str, Any] = field(default_factory=dict)
    formatted: dict[str, Any] = field(default_factory=dict)
    keywords: list[str] = field(default_factory=list)
    properties: dict[str, Any] = field(default_factory=dict)
    develop: dict[str, Any] = field(default_factory=dict)
    stack: str | None = None


class Refused(Exception):
    """The host refuses a call; the text is what the plug-in sees."""


class Catalog:
    """All entries, and the gate that guards changing them."""

    def __init__(self, path: str, plugin_id: str) -> None:
        self.path = path
        self.plugin_id = plugin_id
        self.photos: dict[str, Photo] = {}
        self.keywords: dict[str, tuple[str, str | None]] = {}
        self.collections: dict[str, tuple[str, bool, list[str]]] = {}
        self.stacks: dict[str, list[str]] = {}
        self.selected: list[str] = []
        self.gates = 0
        self._ids = itertools.count(1)
        self._undo: list[Callable[[], None]] | None = None
        self._born: set[str] = set()

    # --- gates --------------------------------------------------------------

    def open_gate(self) -> None:
        assert self._undo is None, "two gates at once"
        self._undo = []
        self.gates += 1

    def close_gate(self, committed: bool) -> None:
        undo, self._undo = self._undo or [], None
        self._born.clear()
        if not committed:
            for step in reversed(undo):
                step()

    @contextmanager
    def gate(self) -> Iterator[None]:
        """For tests that change the catalogue themselves."""
        self.open_gate()
        try:
            yield
        finally:
            self.close_gate(True)

    def _changing(self, undo: Callable[[], None]) -> None:
        assert self._undo is not None, "a change outside a gate"
        self._undo.append(undo)

    def born_in_gate(self, id_: str) -> bool:
        return id_ in self._born

    def is_there(self, kind: str, id_: str) -> bool:
        places: dict[str, dict[str, Any]] = {
            "photo": self.photos,
            "keyword": self.keywords,
            "collection": self.collections,
        }
        return id_ in places[kind]

    # --- photos -------------------------------------------------------------

    def new_id(self, kind: str) -> str:
        return f"{kind}-{next(self._ids)}"

    def add_photo(self, photo: Photo, stack_with: str | None, position: str) -> None:
        self.photos[photo.uuid] = photo
        self._born.add(photo.uuid)
        self._changing(lambda: self.photos.pop(photo.uuid) and None)
        if stack_with is not None:
            self._stack(photo, self.photos[stack_with], position)

    def _stack(self, photo: Photo, other: Photo, position: str) -> None:
        # Folder stacks need one folder; what the host does otherwise is not documented: here, nothing.
        if _folder(photo.path) != _folder(other.path):
            return
        before = other.stack, list(self.stacks.get(other.stack or "", []))
        name = other.stack or self.new_id("stack")
        members = before[1] or [other.uuid]
        at = members.index(other.uuid)
        self.stacks[name] = [*members[:at], photo.uuid, *members[at:]]
        if position == "below":
            self.stacks[name] = [*members[: at + 1], photo.uuid, *members[at + 1 :]]
        photo.stack = other.stack = name

        def undo() -> None:
            other.stack = before[0]
            if before[0] is None:
                del self.stacks[name]
            else:
                self.stacks[name] = before[1]

        self._changing(undo)

    def raw(self, uuid: str, key: str) -> Any:
        photo = self.photos[uuid]
        computed: dict[str, Any] = {
            "uuid": photo.uuid,
            "path": photo.path,
            "isVideo": photo.video,
            "isVirtualCopy": photo.master is not None,
            "masterPhoto": photo.master,
            "fileFormat": "VIDEO" if photo.video else photo.format,
            "smartPreviewInfo": {"smartPreviewPath": "/smart.dng"} if photo.smart_preview else {},
            "keywords": photo.keywords,
            "isInStackInFolder": photo.stack is not None,
            "stackPositionInFolder": self.stacks[photo.stack].index(uuid) + 1 if photo.stack else None,
        }
        assert key in RAW
        if key == "colorNameForLabel":
            return photo.raw.get(key, "gray")  # so seen in live hosts, not "none"
        return computed[key] if key in computed else photo.raw.get(key)

    def formatted(self, uuid: str, key: str) -> Any:
        assert key in FORMATTED
        photo = self.photos[uuid]
        if key == "fileName":
            return photo.path.replace("\\", "/").rsplit("/", 1)[-1]
        if key == "label":
            return photo.raw.get("colorNameForLabel", "").capitalize()
        return photo.formatted.get(key, "" if key != "copyName" else None)

    def set_raw(self, uuid: str, key: str, value: Any) -> None:
        photo = self.photos[uuid]
        where = photo.formatted if key in FORMATTED else photo.raw
        before = where.get(key)
        where[key] = value
        self._changing(lambda: where.__setitem__(key, before))

    def set_property(self, uuid: str, name: str, value: Any) -> None:
        properties = self.photos[uuid].properties
        before = dict(properties)
        properties[name] = value

        def undo() -> None:
            properties.clear()
            properties.update(before)

        self._changing(undo)

    def add_keyword(self, uuid: str, keyword: str) -> None:
        keywords = self.photos[uuid].keywords
        if keyword not in keywords:
            keywords.append(keyword)
            self._changing(lambda: keywords.remove(keyword))

    def find_path(self, path: str, case_sensitive: bool) -> str | None:
        def same(one: str) -> bool:
            return one == path if case_sensitive else one.lower() == path.lower()

        return next(
            (uuid for uuid, photo in self.photos.items() if not photo.master and same(photo.path)), None
        )

    def find_property(self, name: str) -> list[str]:
        return [uuid for uuid, photo in self.photos.items() if photo.properties.get(name) is not None]

    # --- keywords and collections -------------------------------------------

    def create_keyword(self, name: str, parent: str | None) -> tuple[str, bool]:
        for id_, known in self.keywords.items():
            if known == (name, parent):
                return id_, True
        id_ = self.new_id("keyword")
        self.keywords[id_] = (name, parent)
        self._born.add(id_)
        self._changing(lambda: self.keywords.pop(id_) and None)
        return id_, False

    def create_collection(self, name: str, *, smart: bool = False) -> tuple[str, bool]:
        for id_, known in self.collections.items():
            if known[0] == name:
                return id_, True
        id_ = self.new_id("collection")
        self.collections[id_] = (name, smart, [])
        self._born.add(id_)
        self._changing(lambda: self.collections.pop(id_) and None)
        return id_, False

    def set_members(self, id_: str, members: list[str]) -> None:
        name, smart, before = self.collections[id_]
        self.collections[id_] = (name, smart, members)
        self._changing(lambda: self.collections.__setitem__(id_, (name, smart, before)))

    # --- for tests ----------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Everything, to compare before and after."""
        return {
            "photos": {
                uuid: {
                    "path": photo.path,
                    "raw": dict(photo.raw),
                    "formatted": dict(photo.formatted),
                    "keywords": sorted(self.keywords[keyword][0] for keyword in photo.keywords),
                    "properties": dict(photo.properties),
                    "develop": dict(photo.develop),
                }
                for uuid, photo in self.photos.items()
            },
            "stacks": sorted(self.stacks.values()),
            "collections": {name: list(members) for name, _, members in self.collections.values()},
            "keywords": sorted(name for name, _ in self.keywords.values()),
        }


def _folder(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[0]
