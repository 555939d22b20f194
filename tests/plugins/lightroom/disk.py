"""The emulated host's file functions on a real disk, with Windows' rules where the host is Windows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]')
_RESERVED = re.compile(r"^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$", re.IGNORECASE)

PLENTY = 10**12


class Disk:
    """Paths of the host <-> real ones. `C:\\x` of an emulated Windows lies below `root`.

    Attributes:
        read_only: folders in which nothing can be made.
        free: bytes by folder; whatever is not named has plenty.
        untrashable: files that cannot go to the trash: no trash on their volume, or open in a program.
        full: nothing more can be written anywhere.
    """

    def __init__(self, root: Path, *, windows: bool, home: str) -> None:
        self.root = root
        self.windows = windows
        self.home = home
        self.separator = "\\" if windows else "/"
        self.read_only: set[Path] = set()
        self.free: dict[Path, int] = {}
        self.untrashable: set[str] = set()
        self.full = False
        self.open_handles: dict[int, str] = {}
        self.trashed: list[str] = []

    # --- names --------------------------------------------------------------

    def real(self, path: str) -> Path:
        """Where a path of the host lies."""
        if not self.windows:
            return Path(path)
        tail = path.replace("\\", "/")
        absolute = Path(tail) if tail.startswith("/") else self.root / re.sub(r"^[A-Za-z]:/", "", tail)
        return _ignoring_case(absolute)

    def shown(self, real: Path) -> str:
        """A real path as the host writes it."""
        if not self.windows:
            return str(real)
        if real.is_relative_to(self.root):
            return "C:\\" + str(real.relative_to(self.root)).replace("/", "\\")
        return str(real).replace("/", "\\")

    def path(self, function: str, *args: str) -> Any:
        """A function of LrPathUtils."""
        return getattr(self, f"_path_{_snake(function)}")(*args)

    def _split(self, path: str) -> tuple[str, str]:
        at = max(path.rfind("/"), path.rfind("\\") if self.windows else -1)
        return (path[:at] or path[: at + 1], path[at + 1 :]) if at >= 0 else ("", path)

    def _path_child(self, path: str, child: str) -> str:
        return path.rstrip("/\\" if self.windows else "/") + self.separator + child

    def _path_leaf_name(self, path: str) -> str:
        return self._split(path)[1]

    def _path_parent(self, path: str) -> str | None:
        return self._split(path)[0] or None

    def _path_extension(self, path: str) -> str:
        leaf = self._split(path)[1]
        return leaf.rpartition(".")[2] if "." in leaf else ""

    def _path_remove_extension(self, path: str) -> str:
        extension = self._path_extension(path)
        return path[: -len(extension) - 1] if extension else path

    def _path_add_extension(self, path: str, extension: str) -> str:
        return f"{path}.{extension}"

    def _path_replace_extension(self, path: str, extension: str) -> str:
        return f"{self._path_remove_extension(path)}.{extension}"

    def _path_get_standard_file_path(self, which: str) -> str:
        temp = f"{self.home}/AppData/Local/Temp" if self.windows else "temp"
        folders = {"home": "", "pictures": "Pictures", "documents": "Documents"}
        real = self.root / (temp if which == "temp" else f"{self.home}/{folders[which]}")
        real.mkdir(parents=True, exist_ok=True)
        return self.shown(real)

    # --- files --------------------------------------------------------------

    def exists(self, path: str) -> str | bool:
        real = self.real(path)
        return "file" if real.is_file() else "directory" if real.is_dir() else False

    def read_file(self, path: str) -> bytes | None:
        real = self.real(path)
        return real.read_bytes() if real.is_file() else None

    def io_path(self, path: str, mode: str) -> tuple[str | None, str | None]:
        """The real path for io.open; None and why it cannot be opened."""
        if self.windows and not path.isascii():
            return None, f"{path}: No such file or directory"  # fopen knows the ANSI code page only
        problem = self._problem(path) if mode[0] in "wa" else None
        return (None, problem) if problem else (str(self.real(path)), None)

    def _problem(self, path: str) -> str | None:
        real = self.real(path)
        if self.windows and (_FORBIDDEN.search(real.name) or _RESERVED.match(real.name)):
            return f"{path}: Invalid argument"
        if any(real.is_relative_to(folder) for folder in self.read_only):
            return f"{path}: Permission denied"
        if self.full:
            return f"{path}: No space left on device"
        return None if real.parent.is_dir() else f"{path}: No such file or directory"

    def _placed(self, source: str, target: str, act: Callable[[Path, Path], Any]) -> tuple[bool, str | None]:
        problem = self._problem(target)
        if problem or self.real(target).exists() or not self.real(source).exists():
            return False, problem or f"{target} exists, or {source} does not"
        act(self.real(source), self.real(target))
        return True, None

    def copy(self, source: str, target: str) -> tuple[bool, str | None]:
        return self._placed(source, target, shutil.copy2)

    def move(self, source: str, target: str) -> tuple[bool, str | None]:
        return self._placed(source, target, lambda one, other: shutil.move(one, other))

    def delete(self, path: str) -> tuple[bool, str | None]:
        real = self.real(path)
        if any(real.is_relative_to(folder) for folder in self.read_only):
            return False, "Permission denied"
        if self.windows and path in self.open_handles.values():
            return False, "The process cannot access the file because it is being used by another process"
        if real.is_dir():
            if any(real.iterdir()):
                return False, "Directory not empty"
            real.rmdir()
        elif real.exists():
            real.unlink()
        else:
            return False, "No such file or directory"
        return True, None

    def trash(self, path: str) -> tuple[bool, str | None]:
        if not self.real(path).is_file():
            return False, "No such file or directory"
        if path in self.untrashable:
            return False, "The file is in use"
        self.trashed.append(path)
        self.real(path).unlink()
        return True, None

    def make_folders(self, path: str) -> bool:
        real = self.real(path)
        if any(real.is_relative_to(folder) for folder in self.read_only) or self.full:
            return False
        real.mkdir(parents=True, exist_ok=True)
        return True

    def is_writable(self, path: str) -> bool:
        real = self.real(path)
        return real.exists() and not any(real.is_relative_to(folder) for folder in self.read_only)

    def attributes(self, path: str) -> dict[str, Any] | None:
        real = self.real(path)
        if not real.exists():
            return None
        facts = real.stat()
        return {"fileSize": facts.st_size, "fileModificationDate": facts.st_mtime}

    def free_bytes(self, path: str) -> int:
        real = self.real(path)
        return next((free for folder, free in self.free.items() if real.is_relative_to(folder)), PLENTY)

    def unique_name(self, path: str) -> str:
        base, extension = self._path_remove_extension(path), self._path_extension(path)
        number = 1
        while self.real(path).exists():
            number += 1
            path = f"{base}-{number}.{extension}"
        return path

    def entries(self, kind: str, folder: str) -> list[str]:
        real = self.real(folder)
        inside = sorted(real.iterdir()) if real.is_dir() else []
        return [self._path_child(folder, one.name) for one in inside if kind == "all" or one.is_file()]

    def opened(self, folder: str) -> int:
        handle = len(self.open_handles) + 1
        while handle in self.open_handles:
            handle += 1
        self.open_handles[handle] = folder
        return handle

    def closed(self, handle: int) -> None:
        self.open_handles.pop(int(handle), None)


def _ignoring_case(path: Path) -> Path:
    if path.exists():
        return path
    found = Path(path.anchor)
    for part in path.parts[1:]:
        exact = found / part
        if not exact.exists() and found.is_dir():
            exact = next((one for one in found.iterdir() if one.name.lower() == part.lower()), exact)
        found = exact
    return found


def _snake(name: str) -> str:
    return re.sub(r"[A-Z]", lambda letter: "_" + letter.group().lower(), name)
