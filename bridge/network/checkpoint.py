"""Checkpoint files: verified, read without running anything, matched to an architecture, written whole.

The steps of `load` are small and each can be called alone. Knows nothing of licences, sources and
places (`bridge/checkpoints.py`). No step changes the file that it reads.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bridge.errors import (
    CheckpointError,
    CheckpointForeign,
    CheckpointHashMismatch,
    CheckpointTruncated,
    CheckpointUnsafe,
)
from bridge.network.architecture import Architecture
from bridge.network.digest import file_sha256
from bridge.network.gpen import GPEN

Kind = Literal["safetensors", "pickle", "onnx"]

EMA_ENTRY = "g_ema"  # where a training run keeps the averaged generator
STORED_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
KERNEL_TOLERANCE = 1e-6
# Keys that give away what a file is instead of a GPEN, for a helpful refusal.
_OTHERS = {
    "final_conv.0.weight": "a discriminator (a -D file), which only training needs",
    "conv_first.weight": "a Real-ESRGAN upsampler",
    "body.conv1.weight": "a RetinaFace detector",
    "style.1.weight": "a StyleGAN2 generator without GPEN's encoder",
}


def load(path: Path, *, sha256: str | None = None, size: int | None = None) -> GPEN:
    """Open a checkpoint as a network with float32 weights on the CPU.

    Args:
        path: a safetensors or PyTorch file; a flat state dict, or one under "g_ema".
        sha256: hexadecimal digest that the file must have; None: unknown.
        size: bytes that the file must have; None: unknown.

    Raises:
        CheckpointTruncated, CheckpointHashMismatch: see `verify`.
        CheckpointUnsafe, CheckpointForeign, CheckpointError: see `read_state_dict` and `assemble`.
    """
    verify(path, sha256=sha256, size=size)
    return assemble(read_state_dict(path))


def verify(path: Path, *, sha256: str | None, size: int | None) -> None:
    """Compare size, then digest, with what is known, before anything parses the file.

    Raises:
        CheckpointError: the file is not there or cannot be read.
        CheckpointTruncated: it is empty or its size differs.
        CheckpointHashMismatch: its digest differs.
    """
    found = _file_bytes(path)
    if found == 0 or (size is not None and found != size):
        expected = "" if size is None else f" instead of {size}"
        raise CheckpointTruncated(f"{path.name} has {found} bytes{expected}.")
    if sha256 is not None:
        digest = file_sha256(path)
        if digest != sha256.lower():
            raise CheckpointHashMismatch(f"{path.name} has the SHA-256 {digest} instead of {sha256.lower()}.")


def kind_of(path: Path) -> Kind:
    """What a file is by its first bytes; the name is not asked.

    Raises:
        CheckpointTruncated: the file is empty or its header is longer than itself.
        CheckpointError: it is none of the formats that hold checkpoints.
    """
    total = _file_bytes(path)
    with path.open("rb") as file:
        start = file.read(9)
    if not start:
        raise CheckpointTruncated(f"{path.name} is empty.")
    if start.startswith((b"PK\x03\x04", b"\x80")):  # zip, or the pickle of PyTorch before 1.6
        return "pickle"
    if start[8:] == b"{":  # safetensors: a little-endian length, then JSON
        if 8 + int.from_bytes(start[:8], "little") > total:
            raise CheckpointTruncated(f"{path.name} ends within its header.")
        return "safetensors"
    if start.startswith(b"\x08") and start[2:3] in (b"\x12", b"\x1a", b"\x22", b"\x2a", b"\x32", b"\x3a"):
        return "onnx"  # protobuf: field 1, the IR version, then another field of ModelProto
    raise CheckpointError(
        f"{path.name} is not a checkpoint: neither safetensors nor PyTorch nor ONNX.",
        hint="Choose the .pth, .safetensors or .onnx file of a GPEN generator.",
    )


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors or PyTorch file, without running code that a file may hold.

    The tensors may be views of the file on disk: copy what is to be kept. Their sum never exceeds
    the file's size, so neither compression nor strides can make a small file fill the memory.

    Raises:
        CheckpointTruncated: the file ends too early.
        CheckpointUnsafe: it holds something other than tensors.
        CheckpointForeign: it holds no state dict.
        CheckpointError: it is damaged otherwise.
    """
    kind = kind_of(path)
    if kind == "onnx":
        raise CheckpointForeign(f"{path.name} is an ONNX graph, not a state dict.")
    state_dict = _read_safetensors(path) if kind == "safetensors" else _read_pickle(path)
    if sum(tensor.numel() * tensor.element_size() for tensor in state_dict.values()) > _file_bytes(path):
        raise CheckpointUnsafe(f"{path.name} declares tensors that are larger than the file.")
    return state_dict


def assemble(state_dict: Mapping[str, Tensor]) -> GPEN:
    """Deduce the architecture, check every entry against it and build the network from copies.

    Raises:
        CheckpointForeign: keys, shapes or filters are not those of a GPEN.
        CheckpointError: a weight is not a finite number.
    """
    for key, description in _OTHERS.items():
        if key in state_dict:
            raise CheckpointForeign(f"The file holds the weights of {description}.")
    shapes = {key: tuple(tensor.shape) for key, tensor in state_dict.items()}
    with torch.device("meta"):
        network = GPEN(Architecture.deduced(shapes))
    _check_layout(shapes, {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()})
    weights = {key: tensor.to(torch.float32, copy=True) for key, tensor in state_dict.items()}
    network.load_state_dict(weights, assign=True)
    _check_values(network)
    return network


def save(state_dict: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write a safetensors file that appears whole or not at all.

    The same tensors and metadata give the same bytes. On failure an older file at `path` stays as it was.
    """
    tensors = {key: tensor.detach().to("cpu").contiguous() for key, tensor in state_dict.items()}
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    aside = Path(name)
    try:
        save_file(tensors, aside, dict(metadata))
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def convert(source: Path, destination: Path, metadata: Mapping[str, str]) -> Architecture:
    """Rewrite any readable checkpoint as a flat float32 safetensors file; only a sound GPEN gets that far.

    Raises:
        As `read_state_dict` and `assemble`; then nothing is written.
    """
    network = assemble(read_state_dict(source))
    save(network.state_dict(), destination, metadata)
    return network.architecture


def _file_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read: {error.strerror}.") from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return _only_tensors(path, {key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118 (no mapping)
    except SafetensorError as error:
        # Tensors must fill the file exactly; some releases say "MetadataIncompleteBuffer", some a sentence.
        if "incomplete" in str(error).lower():
            raise CheckpointTruncated(f"{path.name} does not end where its last tensor does.") from error
        raise CheckpointError(f"{path.name} is damaged: {error}.") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    zipped = _check_archive(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except EOFError as error:
        raise CheckpointTruncated(f"{path.name} ends too early.") from error
    except pickle.UnpicklingError as error:
        raise CheckpointUnsafe(
            f"{path.name} holds something other than tensors and was not opened."
        ) from error
    except Exception as error:  # a hostile pickle can make the restricted reader fail in any way
        raise CheckpointUnsafe(f"{path.name} cannot be read as tensors: {error}") from error
    if isinstance(content, dict) and isinstance(content.get(EMA_ENTRY), dict):
        content = content[EMA_ENTRY]
    if not isinstance(content, dict):
        raise CheckpointForeign(f"{path.name} holds a {type(content).__name__}, not a state dict.")
    return _only_tensors(path, content)


def _check_archive(path: Path) -> bool:
    """Whether the file is a zip archive; if so, that it is complete and nothing in it is compressed."""
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            return False
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile as error:
        raise CheckpointTruncated(f"{path.name} ends before its table of contents.") from error
    except (ValueError, NotImplementedError, OverflowError) as error:  # a damaged table of contents
        raise CheckpointError(f"{path.name} is damaged: {error}.") from error
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise CheckpointUnsafe(f"{path.name} is compressed, which PyTorch never does.")
    return True


def _only_tensors(path: Path, content: Mapping[object, object]) -> dict[str, Tensor]:
    state_dict: dict[str, Tensor] = {}
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointForeign(
                f"{path.name} holds a {type(value).__name__} under {key!r}, not a tensor."
            )
        if value.dtype not in STORED_TYPES or value.layout is not torch.strided or value.device.type != "cpu":
            raise CheckpointForeign(f"{path.name} holds no plain floating-point numbers under {key!r}.")
        state_dict[key] = value
    return state_dict


def _check_layout(found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> None:
    for key, shape in expected.items():
        if key not in found:
            raise CheckpointForeign(f"The entry {key} is missing.")
        if found[key] != shape:
            raise CheckpointForeign(
                f"The entry {key} has the shape {list(found[key])} instead of {list(shape)}."
            )
    surplus = next((key for key in found if key not in expected), None)
    if surplus is not None:
        raise CheckpointForeign(f"The entry {surplus!r} belongs to no GPEN.")


def _check_values(network: GPEN) -> None:
    for key, tensor in network.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"The entry {key} holds numbers that are not finite.")
    fresh = GPEN(Architecture((1,) * len(network.architecture.channels), 1, 1)).named_buffers()
    for key, kernel in fresh:
        if not torch.allclose(network.get_buffer(key), kernel, rtol=0, atol=KERNEL_TOLERANCE):
            raise CheckpointForeign(f"The filter {key} is not the one that GPEN uses.")
