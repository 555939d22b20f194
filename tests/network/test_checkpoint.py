"""Files: good ones open, bad ones get a named error and change nothing."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from bridge.errors import (
    CheckpointError,
    CheckpointForeign,
    CheckpointHashMismatch,
    CheckpointTruncated,
    CheckpointUnsafe,
)
from bridge.network import checkpoint
from bridge.network.architecture import Architecture
from bridge.network.gpen import GPEN
from tests.network.conftest import TINY

StateDict = dict[str, Tensor]


def same(network: GPEN, other: GPEN) -> bool:
    pairs = zip(network.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


# --- what opens -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    [
        lambda state, path: save_file(state, path),
        lambda state, path: torch.save(state, path),
        lambda state, path: torch.save({"g_ema": state, "d": {}, "iteration": 3}, path),
        lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
        lambda state, path: torch.save({k: torch.nn.Parameter(v) for k, v in state.items()}, path),
    ],
    ids=["safetensors", "pth", "under g_ema", "before PyTorch 1.6", "parameters"],
)
def test_every_published_kind_of_file_opens(
    write: Callable[[StateDict, Path], None], tiny: GPEN, tmp_path: Path
) -> None:
    path = tmp_path / "weights.bin"
    write(tiny.state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    network = checkpoint.load(path, sha256=digest.upper(), size=path.stat().st_size)
    assert network.architecture == TINY
    assert same(network, tiny)


def test_half_precision_is_widened(tiny: GPEN, tmp_path: Path) -> None:
    halved = {key: value.half() for key, value in tiny.state_dict().items()}
    save_file(halved, tmp_path / "half.safetensors")
    network = checkpoint.load(tmp_path / "half.safetensors")
    for key, value in network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, halved[key].float())


def test_an_opened_network_lets_go_of_the_file(tiny: GPEN, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save(tiny.state_dict(), path)
    network = checkpoint.load(path)
    path.write_bytes(b"\0" * path.stat().st_size)
    assert same(network, tiny)


# --- writing ----------------------------------------------------------------------------------


def test_saving_is_repeatable_whole_and_keeps_metadata(tiny: GPEN, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"an older file")
    checkpoint.save(tiny.state_dict(), path, {"made by": "a test"})
    first = path.read_bytes()
    checkpoint.save(tiny.state_dict(), path, {"made by": "a test"})
    assert path.read_bytes() == first
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"made by": "a test"}


def test_a_failed_save_leaves_the_older_file_and_nothing_else(
    tiny: GPEN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"an older file")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(tiny.state_dict(), path, {})
    assert path.read_bytes() == b"an older file"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]


def test_converting_gives_the_same_network_without_pickle(tiny: GPEN, tmp_path: Path) -> None:
    source, destination = tmp_path / "a.pth", tmp_path / "a.safetensors"
    torch.save({"g_ema": tiny.state_dict()}, source)
    before = source.read_bytes()
    assert checkpoint.convert(source, destination, {}) == TINY
    assert checkpoint.kind_of(destination) == "safetensors"
    assert same(checkpoint.load(destination), tiny)
    assert source.read_bytes() == before


def test_nothing_is_converted_from_a_foreign_file(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(CheckpointForeign):
        checkpoint.convert(tmp_path / "a.pth", tmp_path / "a.safetensors", {})
    assert not (tmp_path / "a.safetensors").exists()


# --- size and hash come before everything -----------------------------------------------------


def test_a_file_of_another_size_or_hash_is_not_even_parsed(
    tiny: GPEN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.pth"
    torch.save(tiny.state_dict(), path)

    def opened(path: Path) -> None:
        raise AssertionError("opened before it was verified")

    monkeypatch.setattr(checkpoint, "read_state_dict", opened)
    with pytest.raises(CheckpointTruncated, match="instead of 5"):
        checkpoint.load(path, size=5)
    with pytest.raises(CheckpointHashMismatch, match="instead of 00"):
        checkpoint.load(path, sha256="00" * 32)


# --- hostile, broken and foreign files --------------------------------------------------------


class Exploit:
    """Runs code when unpickled by a reader that trusts it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_refused_and_not_run(zipped: bool, tiny: GPEN, tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    content = {**tiny.state_dict(), "extra": Exploit(mark)}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointUnsafe):
        checkpoint.load(tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Exploit(mark)))
    with pytest.raises(CheckpointUnsafe):
        checkpoint.load(tmp_path / "b.pth")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", CheckpointTruncated),
        (b"<!DOCTYPE html><title>404</title>", CheckpointError),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", CheckpointError),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), CheckpointError),
        (b"PK\x03\x04" + bytes(500), CheckpointTruncated),
        (b"\x80\x02}q\x00.", CheckpointUnsafe),
        (b"\x80\x02" + bytes(100), CheckpointUnsafe),
        (struct.pack("<Q", 10**6) + b"{}", CheckpointTruncated),
        (struct.pack("<Q", 2**63) + b"{}", CheckpointTruncated),
        (struct.pack("<Q", 9) + b'{"a":tru}', CheckpointError),
        (struct.pack("<Q", 2) + b"{}", CheckpointForeign),
        (b"\x08\x07\x12\x04test", CheckpointForeign),
    ],
    ids=[
        "empty", "web page", "git-lfs pointer", "png", "zip start", "no torch pickle", "pickle garbage",
        "cut header", "absurd header", "bad json", "no tensors", "onnx",
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_gets_its_name(
    content: bytes, error: type[CheckpointError], tmp_path: Path
) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    with pytest.raises(error) as caught:
        checkpoint.load(path)
    assert caught.type is error
    assert path.read_bytes() == content


def test_a_missing_file_is_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"a\.pth cannot be read"):
        checkpoint.load(tmp_path / "a.pth")


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
@given(cut=st.floats(0, 0.9999))
@settings(
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the file is written anew each time
)
def test_cut_files_are_truncated_wherever_they_are_cut(
    suffix: str, cut: float, tiny: GPEN, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(tiny.state_dict(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path)
    # A few bytes are too little to tell what the file was going to be.
    assert caught.type is CheckpointTruncated or len(content) * cut < 10


@given(position=st.floats(0, 0.9999), flip=st.integers(1, 255))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_damaged_byte_gives_a_named_error_or_still_a_network(
    suffix: str, position: float, flip: int, tiny: GPEN, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(tiny.state_dict(), path)
    content = bytearray(path.read_bytes())
    content[int(len(content) * position)] ^= flip
    path.write_bytes(content)
    try:
        network = checkpoint.load(path)
    except CheckpointError:
        return
    assert network.architecture == TINY


def test_huge_declared_shapes_cost_nothing(tiny: GPEN, tmp_path: Path) -> None:
    header = {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}}
    encoded = json.dumps(header).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(encoded)) + encoded + bytes(4))
    with pytest.raises(CheckpointError):
        checkpoint.load(tmp_path / "a.safetensors")

    state = tiny.state_dict()
    state["final_linear.0.weight"] = torch.zeros(1).expand(4096, 4096 * 16)  # 1 GB of one stored number
    torch.save(state, tmp_path / "b.pth")
    with pytest.raises(CheckpointUnsafe, match="larger than the file"):
        checkpoint.load(tmp_path / "b.pth")


def test_compressed_archives_are_refused(tiny: GPEN, tmp_path: Path) -> None:
    torch.save(tiny.state_dict(), tmp_path / "a.pth")
    with (
        zipfile.ZipFile(tmp_path / "a.pth") as source,
        zipfile.ZipFile(tmp_path / "b.pth", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(CheckpointUnsafe, match="compressed"):
        checkpoint.load(tmp_path / "b.pth")


def spoil(key: str, value: Tensor | None) -> Callable[[StateDict], object]:
    def change(state: StateDict) -> None:
        state.pop(key, None)
        if value is not None:
            state[key] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (spoil("generator.convs.1.noise.weight", None), "noise.weight is missing"),
        (spoil("ecd2.0.2.bias", None), "ecd2.0.2.bias is missing"),
        (spoil("generator.to_rgbs.0.bias", torch.zeros(3)), r"shape \[3\] instead of \[1, 3, 1, 1\]"),
        (spoil("generator.conv1.activate.bias", torch.zeros(12)), "activate.bias has the shape"),
        (spoil("..", torch.zeros(1)), "belongs to no GPEN"),
        (spoil("generator.__class__.x", torch.zeros(1)), "belongs to no GPEN"),
        (spoil("ecd1.0.1.weight", torch.zeros(())), "no dimensions"),
        (spoil("ecd1.0.0.kernel", torch.ones(4, 4) / 16), "filter ecd1.0.0.kernel"),
        (spoil("final_linear.0.bias", torch.zeros(16, dtype=torch.int32)), "no plain floating-point"),
    ],
)
def test_foreign_layouts_are_named(
    change: Callable[[StateDict], object], words: str, tiny: GPEN, tmp_path: Path
) -> None:
    state = tiny.state_dict()
    change(state)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(CheckpointForeign, match=words):
        checkpoint.load(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["convs.0.0.weight", "final_conv.0.weight", "final_linear.0.weight"], "discriminator"),
        (["style.1.weight", "input.input", "conv1.conv.weight"], "StyleGAN2"),
        (["conv_first.weight", "body.0.rdb1.conv1.weight"], "Real-ESRGAN"),
        (["body.conv1.weight", "fpn.output1.0.weight"], "RetinaFace"),
        (["encoder.0.conv2d.weight"], "lacks an encoder"),
    ],
)
def test_other_networks_are_recognised(keys: list[str], words: str, tmp_path: Path) -> None:
    torch.save({key: torch.zeros(4, 4) for key in keys}, tmp_path / "a.pth")
    with pytest.raises(CheckpointForeign, match=words):
        checkpoint.load(tmp_path / "a.pth")


@pytest.mark.parametrize(
    "content", [[torch.zeros(1)], torch.zeros(1), {"params_ema": {}}, {1: torch.zeros(1)}]
)
def test_what_is_no_state_dict_is_foreign(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(CheckpointForeign):
        checkpoint.load(tmp_path / "a.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float, tiny: GPEN, tmp_path: Path) -> None:
    state = tiny.state_dict()
    state["generator.convs.1.conv.weight"][0, 0, 0, 0, 0] = value
    save_file(state, tmp_path / "a.safetensors")
    with pytest.raises(
        CheckpointError, match=r"convs\.1\.conv\.weight holds numbers that are not finite"
    ) as caught:
        checkpoint.load(tmp_path / "a.safetensors")
    assert caught.type is CheckpointError


def test_reading_leaves_the_file_as_it_was(tiny: GPEN, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save(tiny.state_dict(), path)
    before = path.read_bytes()
    network = checkpoint.load(path)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert path.read_bytes() == before


def test_architecture_survives_the_file(tmp_path: Path) -> None:
    architecture = Architecture((7, 6, 5, 4), style_dim=9, mlp_depth=3)
    buffer = io.BytesIO()
    torch.save(GPEN(architecture).state_dict(), buffer)
    (tmp_path / "a.pth").write_bytes(buffer.getvalue())
    assert checkpoint.load(tmp_path / "a.pth").architecture == architecture
