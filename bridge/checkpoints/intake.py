"""A file from outside: what it may be called, how it is driven, and the form in which it is safe to keep.

Owns the questions that need the file's content; decides nothing about hashes and licences.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from bridge.checkpoints.manifest import Entry, Licence
from bridge.checkpoints.trust import Stamp
from bridge.errors import CheckpointForeign, InvalidRequest

OWN_LICENCE = Licence(
    id="own",
    title="Your own file",
    terms="You brought this file yourself. Whether you may use it, and for what, is between you and "
    "whoever made it; GPEN Enhance knows of no permission.",
    consent=True,
    commercial=False,
)


def published_as(file: str, known: Mapping[str, Entry]) -> Entry | None:
    """The known checkpoint that is published under this file name, in whatever case."""
    for entry in known.values():
        if file.lower() in (name.lower() for name in entry.files):
            return entry
    return None


def name_from(path: Path) -> str:
    """A checkpoint name made of a file's."""
    return re.sub(r"[^a-z0-9.]+", "-", path.stem.lower()).strip("-.")[:64] or "own"


def own_entry(path: Path, published: Stamp, name: str) -> Entry:
    """How a GPEN that nobody knows is driven: as the official ones, at the size that its shapes tell.

    Raises:
        InvalidRequest: this cannot be a name.
        CheckpointUnsafe, CheckpointForeign, CheckpointTruncated, CheckpointError: it is no GPEN.
    """
    from bridge.network import checkpoint

    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,63}", name) or name == "auto":
        raise InvalidRequest(f"`{name}` cannot be a name: use a-z, 0-9, dots and dashes.")
    architecture = checkpoint.assemble(checkpoint.read_state_dict(path)).architecture
    return Entry(
        name=name,
        title=f"{name} (your own)",
        summary="A network that you imported.",
        files=(f"{name}.safetensors",),
        licence=OWN_LICENCE,
        side=architecture.size,
        template="gpen",
        crop_border="black",
        face_share=0.45,
        bytes=published.bytes,
        sha256=published.sha256,
    )


def safe_form(path: Path, published: Stamp, entry: Entry, folder: Path) -> Path:
    """Write a checkpoint as it will be stored: float32 safetensors; an ONNX graph known by its hash as it is.

    Args:
        path: the file as it came, its hash settled.
        published: its stamp.
        entry: what it must turn out to be.
        folder: where to write.

    Returns:
        The file that was written, named as it will be.

    Raises:
        CheckpointUnsafe, CheckpointForeign, CheckpointTruncated, CheckpointError: it is something else.
    """
    from bridge.network import checkpoint

    if checkpoint.kind_of(path) == "onnx":
        if entry.sha256 is None:
            raise CheckpointForeign(f"{path.name} is an ONNX file that is not known by its hash.")
        copy = folder / f"{entry.name}.onnx"
        shutil.copyfile(path, copy)
        return copy
    made = folder / f"{entry.name}.safetensors"
    # One item only: safetensors writes several in random order, and equal files should be equal bytes.
    architecture = checkpoint.convert(path, made, {"published_sha256": published.sha256})
    if architecture.size != entry.side:
        raise CheckpointForeign(
            f"{path.name} works at {architecture.size} pixels, {entry.name} at {entry.side}."
        )
    multipliers = (entry.channel_multiplier, entry.narrow)
    if None not in multipliers and architecture.multipliers != multipliers:
        raise CheckpointForeign(f"{path.name} has other widths than {entry.name}.")
    return made
