"""The trainer: `python -m weights.recipe.train crops.npz -o RUN`; call it again and it goes on.

Trains GPEN with output as residual (input + network), Adam, a learning rate that warms up
and falls along a cosine, and an average of the weights, which is what is kept. RUN holds
`state.pt` (everything, to resume), `log.csv` and, for the product, `export.py` makes a checkpoint of it.
`--init CHECKPOINT` starts from a checkpoint instead of noise, with a fresh optimiser.
"""

from __future__ import annotations

import argparse
import copy
import csv
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bridge.engine.device import choose
from bridge.network import checkpoint
from bridge.network.architecture import Architecture
from bridge.network.generator import ToRgb
from bridge.network.gpen import GPEN
from bridge.network.layers import EqualConv, ModulatedConv
from weights.recipe import crops as crop_files
from weights.recipe.batches import batches
from weights.recipe.losses import Weights, total
from weights.recipe.patches import on_patches

STATE = "state.pt"
LOG = "log.csv"
PICTURE_GAIN = 0.03
"""Of the layers that draw the picture, at the start, and of their rate: a residual is a few hundredths of
the range, and Adam's steps do not shrink with the weights that they move."""
COARSE_GAIN = 0.1
"""The same once more for all but the finest of them: what is missing in a photo is fine."""
STYLE_GAIN = 0.05
"""Of the layers that derive styles, at the start. At 1, every face would scale the channels in its own
random way, and nothing that is learnt from one would hold for the next."""
CONSTANT_GAIN = 0.1
"""Of the learned 4 x 4 picture, at the start: the same noise under every face, to be unlearnt."""

DETAIL_GAIN = 12.0
"""Of the filters that see differences only, at the start. How worn a photo is shows in differences that are
a twentieth of its contrast; without such filters nothing tells the network, and it waits for long."""
DETAIL_STAGES = 2
"""Stages of the encoder below full size in which half of the filters begin like that."""


@dataclass(frozen=True)
class Plan:
    """Everything that a run depends on besides its crops.

    Attributes:
        channels: of the network at 4, 8, ... pixels, up to the crops' side.
        steps: until the learning rate has fallen to nothing.
        batch: crops a step.
        patch: side in pixels of the patches that are trained on, size / 4 or / 2; None: whole faces.
        rate: highest learning rate, for weights in the equalised form, which have unit size.
        warm_up: steps until it is reached.
        average: decay of the averaged weights a step.
        clip: largest norm of the gradient.
        bfloat16: convolutions and products in bfloat16 (torch.autocast); weights stay float32.
        compiled: by torch.compile, which needs a C++ compiler and some minutes first.
    """

    channels: tuple[int, ...] = (128, 128, 128, 128, 64, 32, 16)
    style_dim: int = 256
    mlp_depth: int = 4
    steps: int = 6000
    batch: int = 6
    patch: int | None = None
    rate: float = 1.5e-2
    warm_up: int = 100
    average: float = 0.998
    clip: float = 1.0
    gradient: float = 0.3
    frequency: float = 0.02
    seed: int = 2026
    bfloat16: bool = False
    compiled: bool = False

    def learning_rate(self, step: int) -> float:
        """Linear up, then half a cosine down."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        share = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


class Run:
    """A network in training, and what it needs to go on.

    Attributes:
        plan: what was asked for.
        step: how many steps have been done.
        network: being trained.
        averaged: what is kept.
        seconds: spent training so far, over all sessions.
    """

    def __init__(self, plan: Plan, device: torch.device, init: Path | None = None) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        self.device = device
        self.step = 0
        self.seconds = 0.0
        self.network = checkpoint.load(init) if init else fresh(plan)
        self.network.to(device).train().requires_grad_(True)
        self.averaged = copy.deepcopy(self.network).requires_grad_(False)
        answer = self._answer
        self.answer: Callable[[Tensor], Tensor] = torch.compile(answer) if plan.compiled else answer
        drawing = {id(weight) for layer in picture_layers(self.network) for weight in own_weights(layer)}
        self.optimiser = torch.optim.Adam(
            [
                {"params": [w for w in self.network.parameters() if id(w) not in drawing], "share": 1.0},
                {"params": [w for w in self.network.parameters() if id(w) in drawing], "share": PICTURE_GAIN},
            ],
            lr=plan.rate,
            betas=(0.9, 0.99),
        )

    def learn(self, degraded: Tensor, wanted: Tensor) -> float:
        """One step; the loss before it."""
        for group in self.optimiser.param_groups:
            group["lr"] = group["share"] * self.plan.learning_rate(self.step)
        degraded, wanted = degraded.to(self.device), wanted.to(self.device)
        weights = Weights(self.plan.gradient, self.plan.frequency)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.plan.bfloat16):
            change = self.answer(degraded)
        loss = total(degraded + change.float(), wanted, weights)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.plan.clip)
        self.optimiser.step()
        self.step += 1
        # A short memory at first, or the average would remember the noise that it started from.
        decay = min(self.plan.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for kept, now in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                kept.lerp_(now, 1 - decay)
        return float(loss.detach())

    def _answer(self, degraded: Tensor) -> Tensor:
        return on_patches(self.network, degraded) if self.plan.patch else self.network(degraded)

    def save(self, folder: Path) -> None:
        """Write the state, whole or not at all."""
        state: dict[str, Any] = {
            "plan": asdict(self.plan),
            "step": self.step,
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        aside = folder / f"{STATE}.part"
        torch.save(state, aside)
        aside.replace(folder / STATE)

    @classmethod
    def resumed(cls, folder: Path, device: torch.device) -> Run:
        """The run as it was saved."""
        state = torch.load(folder / STATE, map_location="cpu", weights_only=True)
        plan = Plan(**{**state["plan"], "channels": tuple(state["plan"]["channels"])})
        run = cls(plan, device)
        run.step, run.seconds = state["step"], state["seconds"]
        run.network.load_state_dict(state["network"])
        run.averaged.load_state_dict(state["averaged"])
        run.optimiser.load_state_dict(state["optimiser"])
        return run


def picture_layers(network: GPEN) -> list[ToRgb]:
    """The layers that draw the picture, the coarsest first."""
    return [network.generator.to_rgb1, *(level[-1] for level in network.generator.levels())]


def own_weights(layer: ToRgb) -> tuple[nn.Parameter, nn.Parameter]:
    """What a picture layer draws with, besides its style."""
    return layer.conv.weight, layer.bias


def fresh(plan: Plan) -> GPEN:
    """A network that has learnt nothing, and at first changes next to nothing.

    StyleGAN2's own beginning makes varied pictures out of nothing; here there is a photo already, so
    what makes variety starts small.
    """
    network = GPEN(Architecture(plan.channels, plan.style_dim, plan.mlp_depth))
    *coarse, finest = picture_layers(network)
    with torch.no_grad():
        finest.conv.weight.mul_(PICTURE_GAIN)
        for layer in coarse:
            layer.conv.weight.mul_(PICTURE_GAIN * COARSE_GAIN)
        for module in network.modules():
            if isinstance(module, ModulatedConv):
                module.modulation.weight.mul_(STYLE_GAIN)
        network.generator.input.input.mul_(CONSTANT_GAIN)
        for _, stage in list(network.encoders())[1 : 1 + DETAIL_STAGES]:
            weight = next(layer.weight for layer in stage if isinstance(layer, EqualConv))
            half = weight[: len(weight) // 2]
            half.sub_(half.mean(dim=(2, 3), keepdim=True)).mul_(DETAIL_GAIN)
    return network


def train(run: Run, crops: crop_files.Crops, folder: Path, *, save_every: int, until: int | None) -> None:
    """Go on to the end of the plan, or until a step; saved at intervals and at the end."""
    last = min(run.plan.steps, until or run.plan.steps)
    mean_loss, started = 0.0, time.monotonic()
    with (folder / LOG).open("a", newline="", encoding="utf-8") as file:
        log = csv.writer(file)
        plan = run.plan
        for step, (degraded, wanted) in batches(crops, plan.batch, plan.seed, run.step, last, plan.patch):
            loss = run.learn(degraded, wanted)
            mean_loss += loss
            if (step + 1) % save_every == 0 or step + 1 == last:
                done = step % save_every + 1
                now = time.monotonic()
                run.seconds += now - started
                print(f"step {step + 1}: loss {mean_loss / done:.4f}, {(now - started) / done:.2f} s a step")
                log.writerow([step + 1, f"{mean_loss / done:.5f}", round(run.seconds)])
                file.flush()
                run.save(folder)
                mean_loss, started = 0.0, time.monotonic()


def main() -> None:
    """Begin a run, or go on with the one in the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("crops", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--init", type=Path, help="a checkpoint to start from")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--until", type=int, help="stop at this step; the plan stays as it is")
    parser.add_argument("--batch", type=int, default=Plan.batch)
    parser.add_argument("--patch", type=int, help="side of patches to train on; without: whole faces")
    parser.add_argument("--rate", type=float, default=Plan.rate)
    parser.add_argument("--gradient", type=float, default=Plan.gradient, help="weight of the loss of slopes")
    parser.add_argument("--frequency", type=float, default=Plan.frequency, help="weight of the spectrum's")
    parser.add_argument("--channels", type=int, nargs="+", default=list(Plan.channels))
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--bfloat16", action="store_true", help="faster where the processor has it")
    parser.add_argument("--compiled", action="store_true", help="faster; needs a C++ compiler")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    asked = parser.parse_args()
    device = choose(asked.device, asked.threads)
    device.settle_in()
    asked.output.mkdir(parents=True, exist_ok=True)
    if (asked.output / STATE).exists():
        run = Run.resumed(asked.output, torch.device(device.name))
        print(f"Going on from step {run.step} of {run.plan.steps}.")
    else:
        plan = Plan(
            channels=tuple(asked.channels),
            steps=asked.steps,
            batch=asked.batch,
            patch=asked.patch,
            rate=asked.rate,
            gradient=asked.gradient,
            frequency=asked.frequency,
            seed=asked.seed,
            bfloat16=asked.bfloat16,
            compiled=asked.compiled,
        )
        run = Run(plan, torch.device(device.name), asked.init)
    crops = crop_files.load(asked.crops).part(held_out=False)
    train(run, crops, asked.output, save_every=asked.save_every, until=asked.until)


if __name__ == "__main__":
    main()
