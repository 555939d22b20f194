from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bridge.network import checkpoint
from weights.recipe.batches import batch, batches
from weights.recipe.crops import Crops
from weights.recipe.export import export
from weights.recipe.losses import Weights, charbonnier, frequency, gradient, total
from weights.recipe.patches import on_patches
from weights.recipe.train import Plan, Run, fresh, train

SMALL = Plan(channels=(8, 8, 8, 8), style_dim=16, mlp_depth=2, steps=12, batch=2, warm_up=2)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def faces() -> Crops:
    random = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32] / 32
    pixels = [np.stack([x * a, y * b, (x + y) / 2], axis=2) * 255 for a, b in random.uniform(0.3, 1, (6, 2))]
    return Crops(np.stack(pixels).astype(np.uint8)[:, None], tuple(f"set/{index}" for index in range(6)))


def test_a_batch_depends_on_seed_and_step_alone(faces: Crops) -> None:
    first, again = batch(faces, 3, seed=1, step=7), batch(faces, 3, seed=1, step=7)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], batch(faces, 3, seed=1, step=8)[0])
    assert not torch.equal(first[0], batch(faces, 3, seed=2, step=7)[0])
    late = dict(batches(faces, 3, 1, 5, 9))
    assert list(late) == [5, 6, 7, 8]
    assert torch.equal(late[7][0], first[0])


def test_losses_are_zero_for_equals_and_grow_with_the_error() -> None:
    picture = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    noise = torch.randn(picture.shape, generator=torch.Generator().manual_seed(1))
    for loss in (charbonnier, gradient, frequency):
        values = [float(loss(picture + size * noise, picture)) for size in (0, 0.05, 0.2)]
        assert values == sorted(values)
        assert values[0] < 3e-3
    assert float(gradient(picture + 0.3, picture)) < 1e-6  # a shift has no slope
    whole = total(picture + noise, picture, Weights(gradient=0, frequency=0))
    assert float(whole) == pytest.approx(float(charbonnier(picture + noise, picture)))


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    rates = [SMALL.learning_rate(step) for step in range(SMALL.steps + 1)]
    assert rates[0] < rates[1] == pytest.approx(SMALL.rate)
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_a_fresh_network_changes_next_to_nothing() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        change = fresh(SMALL)(torch.rand(1, 3, 32, 32) * 2 - 1)
    assert 0 < float(change.abs().mean()) < 0.5


def test_training_lowers_the_loss(faces: Crops) -> None:
    run = Run(SMALL, CPU)
    degraded, wanted = batch(faces, 4, seed=0, step=0)
    losses = [run.learn(degraded, wanted) for _ in range(12)]
    assert losses[-1] < losses[0]


def test_patches_are_pieces_of_faces(faces: Crops) -> None:
    clean = [index for index in range(200) if torch.equal(*batch(faces, 1, seed=3, step=index, patch=8))]
    assert clean
    _, piece = batch(faces, 1, seed=3, step=clean[0], patch=8)
    assert piece.shape == (1, 3, 8, 8)
    whole = np.concatenate([faces.pixels, faces.pixels[:, :, :, ::-1]], axis=1).reshape(-1, 32, 32, 3)
    windows = np.lib.stride_tricks.sliding_window_view(whole, (8, 8), axis=(1, 2))
    wanted = np.rint((piece[0].numpy() + 1) * 127.5)
    assert (np.abs(windows - wanted).max(axis=(-3, -2, -1)) == 0).any()


@pytest.mark.parametrize("side", [8, 16])
def test_a_patch_is_answered_as_the_face_around_it_would_be(side: int) -> None:
    torch.manual_seed(1)
    network = fresh(SMALL)
    flat = torch.full((1, 3, 32, 32), 0.25)
    with torch.no_grad():
        network.generator.input.input.copy_(network.generator.input.input.mean(dim=(2, 3), keepdim=True))
        whole, piece = network(flat), on_patches(network, flat[..., :side, :side])
    assert piece.shape == (1, 3, side, side)
    # Borders of zeros reach further in a patch: the first pixel has both neighbours' borders alike.
    torch.testing.assert_close(piece[..., 0, 0], whole[..., 0, 0], atol=1e-3, rtol=0)


@pytest.mark.parametrize("side", [4, 12, 32, 64])
def test_a_patch_of_another_side_is_refused(side: int) -> None:
    with pytest.raises(ValueError, match="does not suit"):
        on_patches(fresh(SMALL), torch.zeros(1, 3, side, side))


def test_training_on_patches_lowers_the_loss_and_reaches_every_weight(faces: Crops) -> None:
    run = Run(replace(SMALL, patch=8), CPU)
    degraded, wanted = batch(faces, 4, seed=0, step=0, patch=8)
    losses = [run.learn(degraded, wanted) for _ in range(12)]
    assert losses[-1] < losses[0]
    assert all(weight.grad is not None for weight in run.network.parameters())


def test_bfloat16_and_a_compiled_step_learn_the_same_within_their_rounding(
    faces: Crops, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[object] = []

    def compiler(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        compiled.append(function)
        return function  # the true one needs a C++ compiler and minutes

    monkeypatch.setattr(torch, "compile", compiler)
    exact, quick = Run(SMALL, CPU), Run(replace(SMALL, bfloat16=True, compiled=True), CPU)
    assert len(compiled) == 1
    degraded, wanted = batch(faces, 4, seed=0, step=0)
    losses = [(exact.learn(degraded, wanted), quick.learn(degraded, wanted)) for _ in range(12)]
    assert [quick for _, quick in losses] == pytest.approx([exact for exact, _ in losses], rel=0.05)
    assert losses[-1][1] < losses[0][1]
    assert any(one != other for one, other in losses)
    assert {weight.dtype for weight in quick.averaged.parameters()} == {torch.float32}


def test_a_run_that_was_cut_goes_on_as_if_it_had_not_been(faces: Crops, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        folder.mkdir()
    train(Run(SMALL, CPU), faces, whole, save_every=3, until=6)
    train(Run(SMALL, CPU), faces, cut, save_every=2, until=4)
    train(Run.resumed(cut, CPU), faces, cut, save_every=2, until=6)
    expected, found = Run.resumed(whole, CPU), Run.resumed(cut, CPU)
    assert expected.step == found.step == 6
    for key, tensor in expected.averaged.state_dict().items():
        torch.testing.assert_close(found.averaged.state_dict()[key], tensor, msg=key)


def test_what_is_exported_is_a_checkpoint_to_start_from(faces: Crops, tmp_path: Path) -> None:
    run = Run(SMALL, CPU)
    run.learn(*batch(faces, 2, seed=0, step=0))
    path = tmp_path / "small.safetensors"
    export(run, path)
    reopened = checkpoint.load(path)
    assert reopened.architecture.channels == SMALL.channels
    again = Run(SMALL, CPU, init=path)
    assert again.step == 0
    for key, tensor in run.averaged.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[key], tensor, rtol=2e-3, atol=2e-3)
