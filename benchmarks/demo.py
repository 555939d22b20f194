"""`make demo`: a real portrait through the real protocol, and a picture to compare.

Starts a bridge of its own on a free port with a home of its own, sends a portrait as a
plug-in would, and writes before.png, after.png and compare.png. The portrait is
`skimage.data.astronaut` (NASA, public domain), made worse by `degraded`; a photo of
your own (`make demo PHOTO=...`) is sent as it is.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bridge.client import Client, EnhancedPicture
from bridge.config import Places
from bridge.errors import BridgeError
from bridge.imaging.codecs import Format, decode, encode
from bridge.imaging.colour import to_working
from bridge.imaging.image import Image
from bridge.protocol.enhancement import EnhanceRequest, FaceFound
from bridge.server.announcement import announced

SEED = 2026
BLUR, SHRINK, NOISE, JPEG_QUALITY = 1.2, 1.8, 4.0, 60
"""What an old phone or a scan does: pixels of sigma, factor, sigma of 255, quality."""
START_SECONDS = 120.0
LARGEST = 250
"""Megapixels, as the bridge takes them."""
WIDEST = 1800
"""Pixels of compare.png; the face below is at 100 % whatever the photo's size."""
BAR = 36

STAGES = ("decode", "detect", "denoise", "restore", "blend", "sharpen", "encode")
"""In the order of the pipeline; JSON objects have none."""

Bytes = NDArray[np.uint8]


def degraded(pixels: Bytes) -> Bytes:
    """H x W x 3 uint8, made worse: blurred, shrunk and enlarged, noise added, saved as JPEG."""
    height, width = pixels.shape[:2]
    soft = cv2.GaussianBlur(pixels, (0, 0), BLUR)
    small = cv2.resize(soft, (round(width / SHRINK), round(height / SHRINK)), interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float64)
    noisy = large + np.random.default_rng(SEED).normal(0, NOISE, large.shape)
    image = Image(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    compressed = encode(image, Format.JPEG, quality=JPEG_QUALITY).data
    return decode(compressed, max_megapixels=100).pixels.astype(np.uint8)


@contextlib.contextmanager
def bridge(home: Path) -> Iterator[Places]:
    """A bridge of its own, stopped at the end as Ctrl-C would."""
    places = Places(home / "bridge.json", home)
    environment = {**os.environ, "GPEN_HOME": str(home)}
    # On Windows, a signal reaches a process alone only in a group of its own.
    flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    command = [sys.executable, "-m", "bridge", "serve", "--port", "0", "--json"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, creationflags=flags, stdout=quiet) as process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while announced(places) is None:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("The bridge did not start; `gpen-bridge doctor` says why.")
                time.sleep(0.05)
            yield places
        finally:
            process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))
            process.wait(30)


async def enhanced(places: Places, data: bytes, request: EnhanceRequest) -> EnhancedPicture:
    """Wait until the bridge is ready, then send the picture."""
    async with Client.from_announcement(places) as client:
        while not (state := await client.ready()).ready:
            if (await client.health()).status == "degraded":
                raise SystemExit(state.reasons[0].detail)
            await asyncio.sleep(0.1)
        return await client.enhance(data, request)


def shown(image: Image) -> Bytes:
    """The picture as a screen shows it: H x W x 3 uint8, sRGB."""
    return np.rint(np.clip(to_working(image.colour, image.icc), 0, 1) * 255).astype(np.uint8)


def comparison(before: Bytes, after: Bytes, faces: tuple[FaceFound, ...]) -> Bytes:
    """Both pictures side by side; below them the largest face at 100 %, and enlarged if it is small."""
    rows = [_pair(_fitted(before), _fitted(after), "before", "after")]
    if faces:
        x0, y0, x1, y1 = faces[0].box
        margin = 0.35 * max(x1 - x0, y1 - y0)
        top, left = max(0, round(y0 - margin)), max(0, round(x0 - margin))
        region = np.s_[top : round(y1 + margin), left : round(x1 + margin)]
        for factor in sorted({1, max(1, rows[0].shape[1] // 2 // before[region].shape[1])}):
            pair = [_enlarged(picture[region], factor) for picture in (before, after)]
            rows.append(_pair(pair[0], pair[1], f"before, {factor}00 %", f"after, {factor}00 %"))
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])


def _pair(left: Bytes, right: Bytes, left_label: str, right_label: str) -> Bytes:
    return np.hstack([_labelled(left, left_label), _labelled(right, right_label)])


def _labelled(pixels: Bytes, label: str) -> Bytes:
    bar = np.zeros((BAR, pixels.shape[1], 3), np.uint8)
    white = (255, 255, 255)
    cv2.putText(bar, label, (8, BAR - 11), cv2.FONT_HERSHEY_SIMPLEX, 0.6, white, 1, cv2.LINE_AA)
    return np.vstack([bar, pixels])


def _enlarged(pixels: Bytes, factor: int) -> Bytes:
    whole = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    return np.asarray(whole, np.uint8)


def _fitted(pixels: Bytes) -> Bytes:
    scale = min(1.0, WIDEST / 2 / pixels.shape[1])
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def own(path: Path) -> bytes:
    """The file of a photo of one's own; SystemExit says why it cannot be taken."""
    try:
        data = path.read_bytes()
        decode(data, max_megapixels=LARGEST)
    except OSError as error:
        raise SystemExit(f"{path} cannot be read: {error.strerror}.") from error
    except BridgeError as error:
        raise SystemExit(f"{path}: {error.detail} {error.hint}") from error
    return data


def main() -> None:
    """Run the demo; the exit status is 1 when there is no photo, or the bridge cannot be started."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("photo", type=Path, nargs="?", help="a picture of your own")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--out", type=Path, default=Path("demo"))
    asked = parser.parse_args()

    if asked.photo:
        data = own(asked.photo)
        print(f"{asked.photo}, as it is")
    else:
        from skimage.data import astronaut  # the demo extra ships it

        data = encode(Image(degraded(astronaut())), Format.PNG).data
        print(
            f"skimage.data.astronaut, made worse: blur {BLUR}, shrunk by {SHRINK} and enlarged, "
            f"noise {NOISE}, JPEG {JPEG_QUALITY} (seed {SEED})"
        )
    request = EnhanceRequest.parse({"preset": asked.preset, "output": {"format": "png"}})
    with tempfile.TemporaryDirectory(prefix="gpen-demo-") as home, bridge(Path(home)) as places:
        done = asyncio.run(enhanced(places, data, request))

    before, after = (decode(picture, max_megapixels=LARGEST) for picture in (data, done.data))
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "before.png").write_bytes(encode(before, Format.PNG).data)
    (asked.out / "after.png").write_bytes(done.data)
    compared = comparison(shown(before), shown(after), done.result.faces)
    (asked.out / "compare.png").write_bytes(encode(Image(compared), Format.PNG).data)

    restored = [face for face in done.result.faces if face.checkpoint]
    names = ", ".join(sorted({face.checkpoint or "" for face in restored}))
    print(
        f"faces found: {len(done.result.faces)}, restored: {len(restored)} {f'by {names}' if names else ''}"
    )
    for stage in sorted(done.result.seconds, key=STAGES.index):
        print(f"  {stage:<8} {done.result.seconds[stage]:7.3f} s")
    for warning in done.result.warnings:
        print(f"  {warning}")
    print(f"written: {', '.join(str(asked.out / f'{name}.png') for name in ('before', 'after', 'compare'))}")


if __name__ == "__main__":
    main()
