"""The whole product as it is installed: `gpen-bridge serve` as a process, spoken to over a socket.

Nothing is faked but the network's weights, which are small and random. Bad and odd pictures
get a named error or the right result, and after each the bridge is as well as before.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from bridge.checkpoints import Checkpoints
from bridge.config import Places, bundled
from bridge.imaging.codecs import Format, decode, encode
from bridge.imaging.image import Image
from bridge.protocol import frame as frames
from bridge.protocol.frame import decode_frame, encode_frame
from bridge.protocol.picture import file_payload, pixels_payload
from bridge.server.announcement import announced

ROOT = Path(__file__).parents[1]
BOUNDARY = "a-boundary"
FACES_ALONE = {"params": {"denoise": 0, "sharpen": 0}}
START_SECONDS = 120.0


@dataclass
class Bridge:
    """A bridge in a process of its own."""

    process: subprocess.Popen[bytes]
    home: Path
    port: int
    token: str

    def ask(self, method: str, path: str, body: bytes = b"", media_type: str = "") -> tuple[int, Any, bytes]:
        """Status, headers and body of one answer, on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Content-Type": media_type} if body else {})
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, response.headers, content

    def form(self, path: str, picture: bytes, request: Any = None) -> tuple[int, Any, bytes]:
        """A picture in multipart/form-data, as a script or the console sends it."""
        parts = {"request": json.dumps(request or {}).encode(), "image": picture}
        body = b"".join(
            b'--%s\r\nContent-Disposition: form-data; name="%s"; filename="x.jpg"\r\n\r\n%s\r\n'
            % (BOUNDARY.encode(), name.encode(), content)
            for name, content in parts.items()
        )
        closing = b"--%s--\r\n" % BOUNDARY.encode()
        return self.ask("POST", path, body + closing, f"multipart/form-data; boundary={BOUNDARY}")

    def frame(self, path: str, picture: bytes, request: Any = None) -> tuple[int, Any, bytes]:
        """The same in a frame, as the plug-ins send it."""
        body = encode_frame("request", request or {}, [file_payload("image", picture, "image/jpeg")])
        return self.ask("POST", path, body, frames.MEDIA_TYPE)

    def is_well(self) -> bool:
        """Whether it runs, is healthy, and has given back every slot (a moment after the answer)."""
        deadline = time.monotonic() + 10
        while json.loads(self.ask("GET", "/v1/stats")[2])["in_flight"] and time.monotonic() < deadline:
            time.sleep(0.02)
        status = json.loads(self.ask("GET", "/v1/health")[2])["status"]
        return self.process.poll() is None and status == "ok" and time.monotonic() < deadline

    @property
    def peak_bytes(self) -> int:
        """The most memory that it ever held; 0 where the system does not tell."""
        status = Path(f"/proc/{self.process.pid}/status")
        lines = status.read_text().splitlines() if status.exists() else []
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    import torch

    from bridge.network.architecture import Architecture
    from bridge.network.gpen import GPEN

    home = tmp_path_factory.mktemp("home")
    torch.manual_seed(1)
    file = home / "small.pth"
    torch.save(GPEN(Architecture((4,) * 4, style_dim=8, mlp_depth=1)).state_dict(), file)
    places = Places(home / "bridge.json", home)
    Checkpoints(bundled("weights"), places.weights).import_file(file, accept_licence=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "serve", "--port", "0", "--device", "cpu", "--json"],
        cwd=ROOT,
        env={**os.environ, "GPEN_HOME": str(home)},
        stdout=subprocess.DEVNULL,
    )
    with process:
        try:
            deadline = time.monotonic() + START_SECONDS
            while (found := announced(places)) is None:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            running = Bridge(process, home, int(found.url.rpartition(":")[2]), found.token)
            while not json.loads(running.ask("GET", "/v1/ready")[2])["ready"]:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield running
        finally:
            process.terminate()
    assert process.returncode == (1 if sys.platform == "win32" else 0)


def png(pixels: np.ndarray) -> bytes:
    return encode(Image(pixels), Format.PNG).data


def by_pillow(mode: str, format_: str, **more: Any) -> bytes:
    file = io.BytesIO()
    Pillow.new(mode, (40, 30)).save(file, format_, **more)
    return file.getvalue()


def gigapixels() -> bytes:
    """A sound PNG of 40,000 x 30,000 pixels in 1.2 MB: 1.2 gigapixels of black."""
    packer, row = zlib.compressobj(1), bytes(40_001)
    stream = b"".join(packer.compress(row * 100) for _ in range(300)) + packer.flush()

    def chunk(kind: bytes, payload: bytes) -> bytes:
        return (
            len(payload).to_bytes(4, "big") + kind + payload + zlib.crc32(kind + payload).to_bytes(4, "big")
        )

    header = (40_000).to_bytes(4, "big") + (30_000).to_bytes(4, "big") + bytes((8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", stream) + chunk(b"IEND", b"")


SMOOTH = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (64, 80, 3), dtype=np.uint8), (0, 0), 1.0)
FILES = {container: encode(Image(SMOOTH), container).data for container in Format}
NO_PICTURE, DAMAGED = {"format_unsupported"}, {"image_truncated", "image_unreadable"}
BAD: dict[str, tuple[bytes, set[str]]] = {
    "empty": (b"", NO_PICTURE),
    "one byte": (b"\xff", NO_PICTURE),
    "text": ("Dear Ana, the photos are ready. – M.".encode(), NO_PICTURE),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', NO_PICTURE),
    "HTML": (b"<!doctype html><img src=x onerror=alert(1)>", NO_PICTURE),
    "wrong magic": (b"XXXX" + FILES[Format.PNG][4:], NO_PICTURE),
    "a PNG that claims to be a JPEG": (b"\xff\xd8\xff\xe0" + FILES[Format.PNG][4:], DAMAGED),
    "a GIF": (by_pillow("P", "GIF"), NO_PICTURE),
    "CMYK": (by_pillow("CMYK", "JPEG"), {"pixels_unsupported"}),
    "Lab": (by_pillow("LAB", "TIFF"), {"pixels_unsupported"}),
    "several pages": (
        by_pillow("RGB", "TIFF", save_all=True, append_images=[Pillow.new("RGB", (9, 9))]),
        {"pixels_unsupported"},
    ),
    **{f"half a {one}": (data[: len(data) // 2], {"image_truncated"}) for one, data in FILES.items()},
    **{f"only the start of a {one}": (data[:14], DAMAGED) for one, data in FILES.items()},
}


@pytest.mark.parametrize("road", ["form", "frame"])
@pytest.mark.parametrize("path", ["/v1/enhance", "/v1/faces"])
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_good_is_named_and_survived(bridge: Bridge, name: str, path: str, road: str) -> None:
    data, codes = BAD[name]
    status, headers, body = getattr(bridge, road)(path, data)
    assert headers["Content-Type"] == "application/problem+json", body[:200]
    problem = json.loads(body)
    assert problem["code"] in codes, problem
    assert 400 <= status == problem["status"] < 500
    assert problem["detail"]
    assert problem["hint"]
    assert bridge.is_well()


@pytest.mark.parametrize("road", ["form", "frame"])
def test_a_bomb_of_1200_megapixels_costs_no_memory(bridge: Bridge, road: str) -> None:
    bomb = gigapixels()
    before = bridge.peak_bytes
    for path in ("/v1/enhance", "/v1/faces"):
        status, _, body = getattr(bridge, road)(path, bomb)
        assert (status, json.loads(body)["code"]) == (413, "image_too_large")
    assert bridge.peak_bytes - before < 100 * 2**20
    assert bridge.is_well()


def test_nobody_in_the_picture_is_a_result(bridge: Bridge) -> None:
    status, headers, body = bridge.form("/v1/enhance", FILES[Format.PNG], FACES_ALONE)
    assert (status, summary(headers)["found"]) == (200, 0)
    np.testing.assert_array_equal(decode(body, max_megapixels=1).pixels, SMOOTH)
    assert json.loads(bridge.form("/v1/faces", FILES[Format.PNG])[2])["faces"] == []
    assert bridge.is_well()


def test_a_group_of_29_is_restored_whole(bridge: Bridge, portrait: np.ndarray) -> None:
    person = cv2.resize(portrait[:260, 100:340], (120, 130), interpolation=cv2.INTER_AREA)
    group = np.full((420, 1300, 3), 128, np.uint8)
    places = [(10 + 135 * row, 10 + 128 * column) for row in range(3) for column in range(10)][:29]
    for y, x in places:
        group[y : y + 130, x : x + 120] = person
    status, headers, body = bridge.form("/v1/enhance", png(group), FACES_ALONE)
    assert status == 200, body
    assert (summary(headers)["found"], summary(headers)["restored"]) == (29, 29)
    after = decode(body, max_megapixels=1).pixels
    for y, x in places:
        assert (after[y : y + 130, x : x + 120] != person).any()
    assert bridge.is_well()


def test_numbers_that_are_none_are_mended_in_a_file_and_refused_as_raw_pixels(bridge: Bridge) -> None:
    pixels = (SMOOTH / 255).astype(np.float32)
    pixels[10:20, 10:20] = np.nan
    pixels[30, 30], pixels[31, 31] = np.inf, -np.inf
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb")
    status, headers, body = bridge.form("/v1/enhance", file.getvalue())
    assert status == 200, body
    assert "not numbers" in " ".join(summary(headers)["warnings"])
    assert np.isfinite(decode(body, max_megapixels=1).pixels).all()
    raw = encode_frame("request", {}, [pixels_payload("image", pixels)])
    for path in ("/v1/enhance", "/v1/faces"):
        status, _, body = bridge.ask("POST", path, raw, frames.MEDIA_TYPE)
        assert (status, json.loads(body)["code"]) == (422, "pixels_unsupported")
    assert bridge.is_well()


def test_every_road_gives_the_same_bytes(bridge: Bridge, portrait: np.ndarray, tmp_path: Path) -> None:
    """Promise 6, on the real thing: form, frame and command line, one after the other and at once."""
    file = tmp_path / "anna.png"
    file.write_bytes(png(np.ascontiguousarray(portrait[:256, 100:356])))
    request = {"preset": "phone"}
    with ThreadPoolExecutor(3) as pool:
        three = list(pool.map(lambda _: bridge.form("/v1/enhance", file.read_bytes(), request)[2], range(3)))
    form = bridge.form("/v1/enhance", file.read_bytes(), request)[2]
    assert decode(form, max_megapixels=1).pixels.shape == (256, 256, 3)
    assert three == [form] * 3
    framed = decode_frame(bridge.frame("/v1/enhance", file.read_bytes(), request)[2])
    assert bytes(framed.views["image"]) == form
    alone = tmp_path / "home"
    shutil.copytree(bridge.home / "weights", alone / "weights")
    command = [sys.executable, "-m", "bridge", "enhance", str(file), "--preset", "phone", "-o", str(tmp_path)]
    for home in (bridge.home, alone):  # the bridge does it, then the command line itself
        subprocess.run(  # noqa: S603 - our own module
            command, cwd=ROOT, env={**os.environ, "GPEN_HOME": str(home)}, check=True, capture_output=True
        )
    results = sorted(tmp_path.glob("anna-GPEN*.png"))
    assert [result.read_bytes() == form for result in results] == [True, True]


def summary(headers: Any) -> Any:
    encoded = headers["GPEN-Result"]
    return json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
