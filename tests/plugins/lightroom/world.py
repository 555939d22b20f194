"""What outlives the emulated program: disk, catalogue, preferences, passwords."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.plugins.lightroom.catalog import Catalog, Photo
from tests.plugins.lightroom.disk import Disk

ROOT = Path(__file__).parents[3]
PLUGIN = ROOT / "plugins" / "lightroom" / "gpen-enhance.lrplugin"
PLUGIN_ID = "org.gpen-enhance.lightroom"


@dataclass
class World:
    """What is still there when the program is started again."""

    root: Path
    windows: bool = False
    language: str = "en"
    home: str = "home"
    prefs: dict[str, Any] = field(default_factory=dict)
    passwords: dict[tuple[str, str], str] = field(default_factory=dict)
    authority: Path | None = None
    """Of certificates, installed in the system as one to trust."""
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
