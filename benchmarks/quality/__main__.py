"""Is a checkpoint good to look at? `python -m benchmarks.quality crops.npz`: a table and a contact sheet.

Measures on people who were never trained on (`weights.recipe.crops` keeps them apart),
degraded with a fixed seed: the network alone on its crops, and the whole pipeline on
large portraits. The sheet shows the same faces beside what a retoucher would try first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.quality.measures import FloatImage, Identity, gradient_similarity, psnr
from benchmarks.quality.sheet import sheet
from bridge.checkpoints import Checkpoints
from bridge.config import bundled
from bridge.engine.device import choose
from bridge.engine.engine import Engine
from bridge.faces.align import TEMPLATES, similarity
from bridge.faces.detect import Detector
from bridge.imaging.codecs import Format, decode, encode
from bridge.imaging.image import Image
from bridge.network.architecture import Architecture
from bridge.network.form import TensorForm
from bridge.network.gpen import GPEN
from bridge.network.inference import fold
from bridge.network.opened import Network, open_network
from bridge.pipeline import Tools, enhance
from bridge.presets import BUILT_IN
from weights.recipe.crops import is_held_out, load, pictures
from weights.recipe.degrade import LEVELS, degrade, scaled

SEED = 11
SHEET_FACES = 4
PORTRAITS = 8
PIPELINE_LEVEL = "medium"
CROPS, CROP_SIDE = "ffhq_512", 256
"""Template and side of the crops that the levels are made for."""

Row = dict[str, float]
Measure = Callable[[FloatImage, FloatImage], float]


def degraded(photo: FloatImage, level: str, index: int) -> FloatImage:
    """The same picture in every run."""
    return degrade(photo, LEVELS[level], np.random.default_rng([SEED, index]))


def restored(network: Network, picture: FloatImage) -> FloatImage:
    """One crop through the network, S x S x 3 in [0, 1]."""
    crop = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None] * 2 - 1
    answer = network(crop)[0].numpy().transpose(1, 2, 0)
    return np.clip(answer * 0.5 + 0.5, 0, 1)


def on_crops(network: Network, photos: list[FloatImage], level: str, identity: Identity | None) -> Row:
    """PSNR, gradient similarity and identity distance to the original: means, before and after."""
    rows = [
        {
            f"{name}_{when}": measure(photo, picture)
            for when, picture in (("degraded", worse), ("restored", restored(network, worse)))
            for name, measure in _measures(identity).items()
        }
        for index, photo in enumerate(photos)
        for worse in [degraded(photo, level, index)]
    ]
    return {key: statistics.mean(row[key] for row in rows) for key in rows[0]}


def on_portraits(tools: Tools, portraits: list[Path]) -> Row:
    """What the pipeline gains on degraded portraits, in dB: `default`, sharpen 0, of the largest face.

    `inside_face`: where its mask is at least a half. `inside_box`: in the detector's box, of which a third
    is hair and background that no mask shows.
    """
    parameters = BUILT_IN["default"].parameters.model_copy(update={"sharpen": 0, "select": "largest"})
    gains: dict[str, list[float]] = {"inside_face": [], "inside_box": []}
    for path in portraits:
        photo = decode(path.read_bytes(), max_megapixels=100)
        face = tools.detector.detect(photo, min_size=tools.min_face, min_score=tools.min_score)[0]
        # As strong as on a crop: a pixel of the crop is so many of the photo.
        factor = 1 / similarity(face.landmarks, TEMPLATES[CROPS] * CROP_SIDE).scale
        original = photo.pixels.astype(np.float32) / np.float32(255)
        random = np.random.default_rng([SEED, *path.name.encode()])
        worse = degrade(original, scaled(LEVELS[PIPELINE_LEVEL], factor), random)
        image = Image(np.rint(worse * 255).astype(np.uint8))
        enhanced = enhance(image, parameters, tools, with_mask=True)
        better = enhanced.image.pixels.astype(np.float32) / np.float32(255)
        x0, y0, x1, y1 = (max(0, round(value)) for value in face.box)
        assert enhanced.mask is not None
        in_box = np.zeros(original.shape[:2], bool)
        in_box[y0:y1, x0:x1] = True
        places = {"inside_face": enhanced.mask[..., 0] > 127, "inside_box": in_box}
        for name, inside in places.items():
            before, after = (psnr(original[inside], picture[inside]) for picture in (worse, better))
            gains[name].append(after - before)
    return {name: statistics.mean(values) for name, values in gains.items()}


def share_of_512(network: Network) -> float:
    """Time of one face as a part of what the official 512 architecture takes: interleaved, medians."""
    large = fold(GPEN(Architecture.from_multipliers(512, 2.0, 1.0)))
    crop, large_crop = torch.zeros(1, 3, network.size, network.size), torch.zeros(1, 3, 512, 512)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(4):
        for job, bucket in ((lambda: network(crop), times[0]), (lambda: large(large_crop), times[1])):
            start = time.perf_counter()
            job()
            bucket.append(time.perf_counter() - start)
    return statistics.median(times[0][1:]) / statistics.median(times[1][1:])


def pipeline_gain(folder: Path) -> Row:
    """The whole pipeline with the bundled checkpoint, on held-out portraits of a folder."""
    portraits = [path for name, path in pictures([folder.resolve()]) if is_held_out(name)][:PORTRAITS]
    with tempfile.TemporaryDirectory() as empty:
        library = Checkpoints(bundled("weights"), Path(empty))
        with Engine(library.open, choose("cpu")) as engine:
            return on_portraits(Tools(Detector(), engine, library), portraits)


def main() -> None:
    """Print the table, write the sheet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("crops", type=Path)
    parser.add_argument("--checkpoint", type=Path, default=bundled("weights") / "gpen-lite-256.safetensors")
    parser.add_argument("--portraits", type=Path, help="a folder of large portraits, for the whole pipeline")
    parser.add_argument("--sheet", type=Path, default=Path("quality.png"))
    parser.add_argument("--limit", type=int, default=60, help="faces to measure")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    choose("cpu").settle_in()
    network = open_network(asked.checkpoint, form=TensorForm(output="residual"))
    photos = _spread(load(asked.crops).part(held_out=True).pixels[:, 0], asked.limit)
    identity = Identity.if_installed()
    result = {level: on_crops(network, photos, level, identity) for level in LEVELS}
    clean = statistics.mean(psnr(photo, restored(network, photo)) for photo in photos)
    result["whole"] = {
        "clean_psnr": clean,
        "share_of_512": share_of_512(network),
        "megabytes": asked.checkpoint.stat().st_size / 1e6,
    }
    if asked.portraits:
        result["whole"] |= {f"gain_{where}": gain for where, gain in pipeline_gain(asked.portraits).items()}
    print(json.dumps(result, indent=2) if asked.json else _table(result))
    few = list(enumerate(photos))[:: max(1, len(photos) // SHEET_FACES)]
    rows = [(photo, degraded(photo, level, index)) for index, photo in few for level in LEVELS]
    picture = sheet(rows, lambda worse: restored(network, worse))
    asked.sheet.write_bytes(encode(Image(picture), Format.PNG).data)


def _measures(identity: Identity | None) -> dict[str, Measure]:
    measures: dict[str, Measure] = {"psnr": psnr, "gradients": gradient_similarity}
    return measures | ({"identity": identity.distance} if identity else {})


def _spread(pixels: np.ndarray, limit: int) -> list[FloatImage]:
    """At most `limit` crops, from all sources, which lie one after the other."""
    chosen = np.linspace(0, len(pixels) - 1, min(limit, len(pixels))).astype(int)
    return [pixels[index].astype(np.float32) / np.float32(255) for index in chosen]


def _table(result: dict[str, Row]) -> str:
    lines = [f"{'':8}{'PSNR, dB':>26}{'gradient similarity':>24}{'identity distance':>22}"]
    for level in LEVELS:
        row = result[level]
        cells = [f"{row['psnr_degraded']:.2f} -> {row['psnr_restored']:.2f}"]
        cells[0] += f" ({row['psnr_restored'] - row['psnr_degraded']:+.2f})"
        cells += [
            f"{row[f'{name}_degraded']:.4f} -> {row[f'{name}_restored']:.4f}"
            if f"{name}_degraded" in row
            else "not measured"
            for name in ("gradients", "identity")
        ]
        lines.append(f"{level:8}{cells[0]:>26}{cells[1]:>24}{cells[2]:>22}")
    lines += [f"{name:16} {value:.3f}" for name, value in result["whole"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
