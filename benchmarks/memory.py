"""Peak memory of `enhance` on a large 16-bit TIFF, faces restored by a full-size network.

    python -m benchmarks.memory [--megapixels 24] [--side 512]

The network has random weights: memory does not depend on what they are. The whole picture is
enhanced in a child process by the `default` preset, from the bytes of the file to the bytes of the
result, so that the peak is that of a process that does nothing else; three times, as in a batch.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

MEBIBYTE = 2**20
PICTURES = 3


def photo(megapixels: float) -> bytes:
    """A portrait of 3:2 format as a 16-bit Deflate TIFF in ProPhoto RGB."""
    import skimage.data

    from bridge.imaging.codecs import Format, encode
    from bridge.imaging.image import Image
    from bridge.imaging.profiles import named_profile

    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    person = skimage.data.astronaut()[:342]
    pixels = cv2.resize(person, (round(height * 1.5), height), interpolation=cv2.INTER_CUBIC)
    image = Image(pixels.astype(np.uint16) * 257, named_profile("ProPhoto RGB"))
    return encode(image, Format.TIFF).data


def install_random_network(side: int, folder: Path) -> str:
    """A seeded GPEN of this side among the user's checkpoints; returns its name."""
    import torch

    from bridge.checkpoints import Checkpoints
    from bridge.network import checkpoint
    from bridge.network.architecture import Architecture
    from bridge.network.gpen import GPEN

    torch.manual_seed(0)
    multiplier, narrow = (1, 0.5) if side == 256 else (2, 1)
    network = GPEN(Architecture.from_multipliers(side, multiplier, narrow))
    file = folder / f"random-{side}.safetensors"
    checkpoint.save(network.state_dict(), file, {})
    return Checkpoints(folder, folder / "user").import_file(file, accept_licence=True).name


def enhance_once(
    file: Path, folder: Path, name: str, answer: multiprocessing.Queue[dict[str, float]]
) -> None:
    """Child process: enhance one file and tell the peak, in bytes."""
    from bridge.checkpoints import Checkpoints
    from bridge.engine.device import choose
    from bridge.engine.engine import Engine
    from bridge.faces.detect import Detector
    from bridge.pipeline import Tools, enhance_file
    from bridge.presets import Output, Parameters

    unit = 1 if sys.platform == "darwin" else 1024
    checkpoints = Checkpoints(folder, folder / "user")
    with Engine(checkpoints.open, choose("cpu")) as engine:
        tools = Tools(Detector(), engine, checkpoints)
        engine.warm_up(name)
        idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        for _ in range(PICTURES):
            result = enhance_file(file.read_bytes(), Parameters(checkpoint=name), Output(), tools)
            faces = len(result.enhancement.faces)
            del result  # as a bridge has sent it and lets go
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    answer.put({"idle": idle, "peak": peak, "faces": faces})


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megapixels", type=float, default=24)
    parser.add_argument("--side", type=int, default=512, choices=(256, 512, 1024))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "manifest.toml").write_text("")
        network = install_random_network(options.side, folder)
        file = folder / "photo.tiff"
        file.write_bytes(photo(options.megapixels))
        context = multiprocessing.get_context("spawn")
        answer: multiprocessing.Queue[dict[str, float]] = context.Queue()
        child = context.Process(target=enhance_once, args=(file, folder, network, answer))
        child.start()
        figures = answer.get()
        child.join()
    decoded = options.megapixels * 1e6 * 6
    print(f"{options.megapixels:g} MP, 16-bit RGB, {options.side} network, {figures['faces']:.0f} face(s)")
    print(f"decoded picture          {decoded / MEBIBYTE:8.0f} MiB")
    print(f"after the warm-up        {figures['idle'] / MEBIBYTE:8.0f} MiB")
    print(f"peak                     {figures['peak'] / MEBIBYTE:8.0f} MiB")
    print(f"above the warm-up        {(figures['peak'] - figures['idle']) / decoded:8.1f} decoded pictures")


if __name__ == "__main__":
    main()
