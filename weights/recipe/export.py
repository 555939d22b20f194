"""A run -> a checkpoint to ship: `python -m weights.recipe.export RUN -o weights/gpen-lite-256.safetensors`.

Writes the averaged weights as float16, with what made them in the file's metadata, reads the
file back as the product does, and prints what the manifest must say of it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch

from bridge.network import checkpoint
from bridge.network.digest import file_sha256
from weights.recipe.train import Run


def export(run: Run, path: Path) -> None:
    """Write the averaged network; an older file stays as it was if anything fails."""
    halved = {key: tensor.to(torch.float16) for key, tensor in run.averaged.state_dict().items()}
    made = {"plan": json.dumps(asdict(run.plan)), "step": str(run.step), "seconds": str(round(run.seconds))}
    checkpoint.save(halved, path, {"title": path.stem, "licence": "Apache-2.0", **made})
    checkpoint.load(path)


def main() -> None:
    """Export and say size and hash."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    run = Run.resumed(asked.run, torch.device("cpu"))
    export(run, asked.output)
    print(f"step {run.step}, {run.seconds / 3600:.1f} hours")
    print(f"bytes = {asked.output.stat().st_size}")
    print(f'sha256 = "{file_sha256(asked.output)}"')


if __name__ == "__main__":
    main()
