"""What runs on a node: the desktop's engine behind async doors, and its checkpoints."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bridge import __version__
from bridge.engine.ray_worker import Depot, Worker
from bridge.engine.workers import Equipment, Published, Refusal
from bridge.errors import CheckpointHashMismatch, CheckpointNotInstalled
from bridge.network.architecture import Architecture
from bridge.network.digest import file_sha256
from bridge.network.gpen import GPEN
from tests.engine.fakes import some_crops


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPEN of 32 pixels with random weights."""
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(GPEN(Architecture((4,) * 3, style_dim=8, mlp_depth=1)).state_dict(), path)
    return path


@pytest.fixture
def published(file: Path) -> Published:
    return Published("tiny", file, file_sha256(file), file.stat().st_size, "signed", "absolute")


@pytest.fixture
def content(file: Path) -> np.ndarray:
    return np.frombuffer(file.read_bytes(), np.uint8)


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    return Worker(Equipment(tmp_path, "cpu", "torch", 1), 3)


def test_a_checkpoint_counts_only_with_its_hash(
    tmp_path: Path, published: Published, content: np.ndarray
) -> None:
    depot = Depot(tmp_path / "node")
    assert not depot.has(published)
    with pytest.raises(CheckpointNotInstalled):
        depot.open("tiny")
    damaged = content.copy()
    damaged[100] ^= 1
    with pytest.raises(CheckpointHashMismatch):
        depot.keep(published, damaged)
    assert list((tmp_path).rglob("*.*")) == []
    depot.keep(published, content)
    assert Depot(tmp_path / "node").has(published)
    (stored,) = (tmp_path / "node").iterdir()
    stored.write_bytes(damaged.tobytes())
    assert not Depot(tmp_path / "node").has(published)
    with pytest.raises(CheckpointHashMismatch):
        depot.open("tiny")


async def test_a_worker_restores_what_the_desktops_engine_does(
    worker: Worker, published: Published, content: np.ndarray
) -> None:
    assert await worker.keep(published, content) is None
    assert await worker.warm_up("tiny") is None
    pulse = await worker.pulse()
    assert (pulse.version, pulse.checkpoints) == (__version__, {"tiny": "torch"})
    crop = some_crops(1)
    crop.setflags(write=False)  # as Ray hands it over
    restored = await worker.restore("tiny", crop, True)
    assert isinstance(restored, np.ndarray)
    assert restored.shape == crop.shape


async def test_failures_travel_as_codes(worker: Worker, published: Published, content: np.ndarray) -> None:
    refused = await worker.restore("tiny", some_crops(1), True)
    assert isinstance(refused, Refusal)
    assert refused.code == "checkpoint_not_installed"
    bad = await worker.keep(replace(published, sha256="0" * 64), content)
    assert bad is not None
    assert bad.code == "checkpoint_hash_mismatch"


async def test_cancelling_a_call_stops_its_work(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def restore(_name: str, _crop: object, *, urgent: bool, cancelled: object) -> None:
        seen.append(cancelled.wait(10))  # type: ignore[attr-defined]  # an Event

    monkeypatch.setattr(worker._engine, "restore", restore)
    call = asyncio.ensure_future(worker.restore("tiny", some_crops(1), False))
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    while not seen:
        await asyncio.sleep(0.01)
    assert seen == [True]


def test_equipment_survives_the_environment() -> None:
    equipment = Equipment(Path("/a b"), "cuda:1", "torch", 4, 600.0)
    assert Equipment.read(equipment.written()) == equipment
