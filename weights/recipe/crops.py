"""Pictures -> aligned crops: `python -m weights.recipe.crops PICTURES... -o crops.npz`.

Finds the main face of each picture with the product's own detector and aligns it to the
template that the network will be used with, from the original pixels, several times with
slightly different landmarks: at work they are never exact either. Faces smaller than the
crop are left out, since an enlarged face teaches softness.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bridge.errors import BridgeError
from bridge.faces.align import align
from bridge.faces.detect import Detector
from bridge.faces.face import Face
from bridge.imaging.codecs import decode
from bridge.imaging.colour import to_working

TEMPLATE = "ffhq_512"
JITTER = 0.02
"""Sigma of the landmarks' displacement, in eye distances; about what the detector's own is."""
LARGEST_ENLARGEMENT = 1.3
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
HELD_OUT = 10
"""One person in this many is never trained on."""


@dataclass(frozen=True, eq=False)
class Crops:
    """Aligned crops in memory.

    Attributes:
        pixels: N x V x S x S x 3 uint8, RGB, sRGB-encoded; V alignments, the first with exact landmarks.
        names: N, the picture's path from its folder's parent.
    """

    pixels: NDArray[np.uint8]
    names: tuple[str, ...]

    def part(self, *, held_out: bool) -> Crops:
        """Those to learn from, or those to be measured on: no person is in both."""
        chosen = [index for index, name in enumerate(self.names) if is_held_out(name) == held_out]
        return Crops(self.pixels[chosen], tuple(self.names[index] for index in chosen))


def load(path: Path) -> Crops:
    """Read what `main` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return Crops(file["pixels"], tuple(str(name) for name in file["names"]))


def person_of(name: str) -> str:
    """Who is on a picture: in the two sets that show people twice, the number tells."""
    folder, _, file = name.rpartition("/")
    if folder.endswith(("london", "canada")) and (number := re.match(r"\d+", file)):
        return f"{folder}/{number.group()}"
    return name


def is_held_out(name: str) -> bool:
    """Whether a person is kept for the evaluation; by a hash, so that new pictures change nothing."""
    digest = hashlib.sha256(person_of(name).encode()).digest()
    return int.from_bytes(digest[:4], "big") % HELD_OUT == 0


def aligned(path: Path, detector: Detector, side: int, variants: int, seed: int) -> NDArray[np.uint8] | None:
    """V x S x S x 3 uint8 of the picture's largest face; None if there is none large enough."""
    image = decode(path.read_bytes(), max_megapixels=100)
    faces = detector.detect(image, min_size=side / 4, min_score=0.7)
    if not faces:
        return None
    face = max(faces, key=lambda found: found.size)
    random = np.random.default_rng([seed, *path.name.encode()])
    eyes = float(np.linalg.norm(face.landmarks[1] - face.landmarks[0]))
    crops = []
    for variant in range(variants):
        moved = face.landmarks + random.normal(0, JITTER * eyes, (5, 2)) * (variant > 0)
        crop = align(image.colour, Face(face.box, moved), TEMPLATE, side, "reflect")
        if crop.transform.scale > LARGEST_ENLARGEMENT:
            return None
        crops.append(np.rint(np.clip(to_working(crop.pixels, image.icc), 0, 1) * 255).astype(np.uint8))
    return np.stack(crops)


def pictures(folders: list[Path]) -> Iterator[tuple[str, Path]]:
    """(name, path) of every picture below the folders, sorted; the name begins with the folder's own."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in SUFFIXES:
                yield path.relative_to(folder.resolve().parent).as_posix(), path


def main() -> None:
    """Write the crops of some folders, and say what was left out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--variants", type=int, default=3)
    parser.add_argument("--seed", type=int, default=2026)
    asked = parser.parse_args()
    detector = Detector()
    found: dict[str, NDArray[np.uint8]] = {}
    left_out = 0
    for name, path in pictures([folder.resolve() for folder in asked.folders]):
        try:
            crops = aligned(path, detector, asked.side, asked.variants, asked.seed)
        except BridgeError as error:
            print(f"{name}: {error.detail}")
            crops = None
        if crops is None:
            left_out += 1
        else:
            found[name] = crops
    if not found:
        raise SystemExit("No picture with a face that is large enough.")
    np.savez(asked.output, pixels=np.stack(list(found.values())), names=np.array(list(found)))
    held_out = sum(is_held_out(name) for name in found)
    print(f"{len(found)} faces, {held_out} of them held out; {left_out} pictures left out -> {asked.output}")


if __name__ == "__main__":
    main()
