"""The manifest: what is known about each checkpoint, as TOML and as values.

Owns the format of `weights/manifest.toml`. Knows no files but that one, no network and no tensors.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from bridge.errors import CheckpointError

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
CheckpointName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
# One path component, of letters that every file system takes, so that nothing in a manifest
# or in a record can point outside its folder.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")]


@dataclass(frozen=True)
class Licence:
    """Under which terms weights come.

    Attributes:
        id: name in the manifest.
        title: one line.
        terms: the whole text to show.
        consent: must be accepted before a download or an import.
        commercial: whether paid work is allowed.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    id: str
    title: str
    terms: str
    consent: bool
    commercial: bool


@dataclass(frozen=True)
class Entry:
    """One checkpoint: where it comes from, and how crops for it are made.

    Attributes:
        name: how users and requests call it.
        title: how the interface calls it.
        summary: what to expect of it, one sentence.
        files: names that the file is published under, the usual one first.
        licence: its terms.
        side: of input and output, in pixels.
        template: alignment template, a name of `faces/align.py`.
        crop_border: what lies beyond the photo in a crop.
        face_share: a detected face's smaller side, as a part of the crop's side (median of YuNet's
            boxes on 115 portraits: 2.15 eye distances).
        bytes: size of the published file; None: not known, nor seen yet.
        sha256: of the published file; None: not known, nor seen yet (trust on first use).
        sources: addresses in the order in which they are tried.
        bundled: comes with the product.
        input: what the network takes: signed [-1, 1] or unit [0, 1].
        output: what it gives: the picture, in the form of the input, or what is to be added to it.
        channel_multiplier: of the architecture; None: not checked.
        narrow: of the architecture; None: not checked.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: CheckpointName
    title: str
    summary: str
    files: Annotated[tuple[FileName, ...], Field(min_length=1)]
    licence: Licence
    side: Annotated[int, Field(ge=16, le=4096)]
    template: Literal["gpen", "ffhq_512", "arcface_128"]
    crop_border: Literal["black", "replicate", "reflect"]
    face_share: Annotated[float, Field(gt=0, le=1)]
    bytes: Annotated[int, Field(gt=0)] | None = None
    sha256: Sha256 | None = None
    sources: tuple[str, ...] = ()
    bundled: bool = False
    input: Literal["signed", "unit"] = "signed"
    output: Literal["absolute", "residual"] = "absolute"
    channel_multiplier: float | None = None
    narrow: float | None = None

    def side_needed(self, face_size: float) -> float:
        """Side that a crop needs to hold a face at the photo's own resolution, in pixels.

        Args:
            face_size: smaller side of the face's box, in pixels of the photo.
        """
        return face_size / self.face_share


entry_format: TypeAdapter[Entry] = TypeAdapter(Entry)
_licence_format: TypeAdapter[Licence] = TypeAdapter(Licence)


def read(path: Path) -> tuple[Entry, ...]:
    """The entries of a manifest, in its order.

    Raises:
        CheckpointError: the file is missing or malformed, or names something twice.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        licences = {
            id_: _licence_format.validate_python({"id": id_, **fields})
            for id_, fields in content.get("licences", {}).items()
        }
        entries = tuple(_entry(fields, licences) for fields in content.get("checkpoint", []))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise CheckpointError(
            f"{path} is not a valid manifest: {error}", hint="Install the bridge again."
        ) from error
    names = [entry.name for entry in entries]
    if twice := {name for name in names if names.count(name) > 1}:
        raise CheckpointError(
            f"{path} names {', '.join(sorted(twice))} twice.", hint="Install the bridge again."
        )
    return entries


def _entry(fields: dict[str, Any], licences: dict[str, Licence]) -> Entry:
    # An unknown licence stays the plain string that it is, which the validation refuses.
    licence = licences.get(str(fields.get("licence")), fields.get("licence"))
    return entry_format.validate_python(fields | {"licence": licence})
