"""Denoise and sharpen beside OpenCV's non-local means: quality, time and memory, as tables.

    python -m benchmarks.denoise [PHOTO...]

Without photos: two of the portraits in the folder `shared/images/portraits` (GPEN_SHARED names
another place than beside the repository), or scikit-image's astronaut and cat where there is none.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from bridge.imaging.codecs import decode
from bridge.imaging.denoise import denoise
from bridge.imaging.image import Array, Pixels
from bridge.imaging.sharpen import sharpen

SIGMAS = (5, 10, 20)
AMOUNTS = range(50, 101, 10)
H_BY_SIGMA = (0.4, 0.5, 0.6, 0.7, 0.9)
H_COLOUR_BY_H = (1.0, 2.0)
FULL = (4000, 6000)
FOR_NLM = (2000, 2000)
REPEATS = 3


def photos(paths: list[Path]) -> dict[str, Pixels]:
    """Names and pictures to measure on."""
    if not paths:
        beside = Path(__file__).parents[1] / "../shared"
        folder = Path(os.environ.get("GPEN_SHARED", beside)) / "images/portraits"
        paths = [folder / name for name in ("female-03.jpg", "female-41.jpg")]
        if not folder.is_dir():
            return {"astronaut": data.astronaut(), "cat": data.chelsea()}
    return {path.name: decode(path.read_bytes(), max_megapixels=100).pixels for path in paths}


def psnr(picture: Array, clean: Array) -> float:
    """Decibels between two 8-bit pictures."""
    return float(10 * np.log10(255**2 / np.mean((picture.astype(np.float64) - clean) ** 2)))


def nlm(picture: Pixels, h: float, h_colour: float) -> Pixels:
    """OpenCV's non-local means with the usual windows; it wants its channels the other way round."""
    done = cv2.fastNlMeansDenoisingColored(picture[..., ::-1].copy(), None, h, h_colour, 7, 21)
    return np.asarray(done, np.uint8)[..., ::-1]


def noisy_of(clean: Pixels, sigma: float) -> Pixels:
    """Clipped 8-bit `clean` with white gaussian noise."""
    noise = np.random.default_rng(1).normal(0, sigma, clean.shape)
    return np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Median CPU and wall time of a call."""
    runs = []
    for _ in range(REPEATS):
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        runs.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpus, walls = zip(*runs, strict=True)
    return statistics.median(cpus), statistics.median(walls)


def peak_memory() -> float:
    """Most memory that this process ever held, in MiB (macOS counts bytes, Linux KiB, Windows not at all)."""
    if sys.platform == "win32":
        return math.nan
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def mirrored(picture: Pixels, shape: tuple[int, int]) -> Pixels:
    """`picture` repeated, mirrored, until it fills `shape`."""
    more = [(0, max(wanted - have, 0)) for wanted, have in zip(shape, picture.shape, strict=False)]
    return np.ascontiguousarray(np.pad(picture, [*more, (0, 0)], mode="symmetric")[: shape[0], : shape[1]])


def speed(picture: Pixels) -> None:
    """Time and memory at 24 megapixels; non-local means on 4, times 6 (each pixel costs it the same)."""
    full = mirrored(noisy_of(picture, 10), FULL)
    before = peak_memory()
    rows = [
        ("denoise 30, 8 bit", *seconds(lambda: denoise(full, 30))),
        ("sharpen 50, 8 bit", *seconds(lambda: sharpen(full, 50))),
    ]
    above = peak_memory() - before
    deep = full.astype(np.uint16) * 257
    rows.append(("denoise 30, 16 bit", *seconds(lambda: denoise(deep, 30))))
    rows.append(("sharpen 50, 16 bit", *seconds(lambda: sharpen(deep, 50))))
    small = mirrored(full, FOR_NLM)
    scale = (FULL[0] * FULL[1]) / (FOR_NLM[0] * FOR_NLM[1])
    cpu, wall = seconds(lambda: nlm(small, 5, 5))
    rows.append(("NLM, 8 bit", cpu * scale, wall * scale))
    print("| 24 megapixels | CPU | wall | NLM's CPU to this |")
    print("|---|---|---|---|")
    for label, cpu, wall in rows:
        print(f"| {label} | {cpu:.2f} s | {wall:.2f} s | {rows[-1][1] / cpu:.1f} |")
    print(f"\nPeak memory above the 8-bit picture of {full.nbytes / 2**20:.0f} MiB: {above:.0f} MiB.\n")


def restraint(pictures: dict[str, Pixels]) -> None:
    """What denoise does to photos that need none."""
    print("| photo as it is | amount 30: RMS of 255 | amount 100 | fine detail kept at 30 | at 100 |")
    print("|---|---|---|---|---|")
    for name, clean in pictures.items():
        results = [denoise(clean, amount) for amount in (30, 100)]
        rms = [np.sqrt(np.mean((result.astype(np.float64) - clean) ** 2)) for result in results]
        fine = [
            float(np.var(cv2.Laplacian(picture.mean(axis=2), cv2.CV_64F))) for picture in (clean, *results)
        ]
        kept = [f"{100 * part / fine[0]:.1f} %" for part in fine[1:]]
        print(f"| {name} | {rms[0]:.3f} | {rms[1]:.3f} | {kept[0]} | {kept[1]} |")
    print()


def quality(pictures: dict[str, Pixels]) -> None:
    """The best of each side on added noise."""
    print("| photo | sigma | noisy | NLM (best h, hColor) | denoise (best amount) | difference |")
    print("|---|---|---|---|---|---|")
    for name, clean in pictures.items():
        for sigma in SIGMAS:
            noisy = noisy_of(clean, sigma)
            theirs, h, h_colour = max(
                (psnr(nlm(noisy, k * sigma, k * sigma * c), clean), k * sigma, k * sigma * c)
                for k in H_BY_SIGMA
                for c in H_COLOUR_BY_H
            )
            ours, amount = max((psnr(denoise(noisy, amount), clean), amount) for amount in AMOUNTS)
            print(
                f"| {name} | {sigma} | {psnr(noisy, clean):.2f} dB | {theirs:.2f} dB ({h:g}, {h_colour:g}) "
                f"| {ours:.2f} dB ({amount}) | {ours - theirs:+.2f} dB |",
                flush=True,
            )


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("photo", nargs="*", type=Path)
    pictures = photos(parser.parse_args().photo)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, medians of {REPEATS}\n")
    speed(next(iter(pictures.values())))
    restraint(pictures)
    quality(pictures)


if __name__ == "__main__":
    main()
