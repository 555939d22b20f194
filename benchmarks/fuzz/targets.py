"""What is attacked: each reader of strangers' bytes, and what must hold of it whatever they are.

A run returns or raises a BridgeError. Any other exception, a crash of the process, ten seconds, or more
memory than the bound is a finding.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from aiohttp import StreamReader, web
from aiohttp.test_utils import make_mocked_request

from benchmarks.fuzz import seeds
from benchmarks.fuzz.damage import with_checksums
from benchmarks.fuzz.rows import attack_row, row_seeds
from bridge.config import Settings
from bridge.errors import BridgeError, MetadataMalformed
from bridge.imaging import colour, icc
from bridge.imaging.codecs import Format, decode, encode, inspect
from bridge.imaging.containers import exif, xmp, xmp_extension
from bridge.imaging.image import Image
from bridge.network import checkpoint
from bridge.protocol.enhancement import EnhanceRequest
from bridge.protocol.frame import decode_frame
from bridge.protocol.picture import check_picture, picture_of
from bridge.server.body import read_asked
from bridge.server.route import SETTINGS

MEGAPIXELS = 1.0
BOUND_BYTES = 256 << 20
"""Over what the process had before: a picture of the budget takes 16 MB as stored, and every stage a copy."""
SECONDS = 10.0


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        seeds: sound files.
        run: reads one; raises nothing but BridgeError.
        mend: makes damaged bytes plausible again, where a checksum would hide the rest.
        examples: how many the test suite tries.
    """

    seeds: Callable[[], list[bytes]]
    run: Callable[[bytes], object]
    mend: Callable[[bytes], bytes] = lambda data: data
    examples: int = 150


def _picture(data: bytes) -> None:
    with contextlib.suppress(BridgeError):  # decode says the same, or knows better
        inspect(data)
    found = decode(data, max_megapixels=MEGAPIXELS)
    assert found.pixels.ndim == 3
    if found.width * found.height < 10_000:
        for container in (Format.TIFF, Format.JPEG):
            encode(found, container)


def _frame(data: bytes) -> None:
    frame = decode_frame(data)
    check_picture(frame.header, MEGAPIXELS)
    EnhanceRequest.parse(frame.header.message)
    picture_of(frame)


@functools.cache
def _loop() -> asyncio.Runner:
    return asyncio.Runner()


def _form(data: bytes) -> None:
    async def read() -> None:
        app = web.Application()
        app[SETTINGS] = Settings(max_upload_bytes=10**6, max_json_bytes=10**4)
        content = StreamReader(mock.Mock(_reading_paused=False), 2**16, loop=asyncio.get_running_loop())
        content.feed_data(data)
        content.feed_eof()
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        request = make_mocked_request("POST", "/v1/enhance", headers=headers, payload=content, app=app)
        await read_asked(request, EnhanceRequest)

    _loop().run(read())


def _profile(data: bytes) -> None:
    for channels in (1, 3):
        colour.problem(data, channels)
        sample = np.linspace(0, 1, 4 * channels, dtype=np.float32).reshape(2, 2, channels)
        there = colour.to_working(sample, data)
        back = colour.from_working(there, data, channels=channels)
        assert there.shape == (2, 2, 3)
        assert back.shape == sample.shape
    for told in (icc.description, colour.linearised):
        try:
            told(data)
        except BridgeError:
            continue


def _exif(data: bytes) -> None:
    block = exif.without_thumbnail(data)
    exif.upright(block, 7, 9)
    found = exif.read(block)
    exif.dots_per_inch(found.structure, found.main.fields)
    for maker_note in (True, False):
        exif.assembled(found, maker_note=maker_note)


def _xmp(data: bytes) -> None:
    name = ("http://ns.adobe.com/tiff/1.0/", "Orientation")
    xmp.parse(data)
    xmp.rewritten(data, {name: "1"})
    xmp.parse(xmp.with_properties(data, {name[0]: "tiff"}, [(name, "<1>")]))
    for attempt in (
        lambda: xmp_extension.split(data, 900),
        lambda: xmp_extension.joined(seeds.XMP, data),
        lambda: xmp_extension.extension_of(data),
    ):
        try:
            attempt()
        except MetadataMalformed:
            continue


@functools.cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="gpen-fuzz-"))


def _checkpoint(data: bytes) -> None:
    path = _folder() / "hostile.pth"
    path.write_bytes(data)
    checkpoint.assemble(checkpoint.read_state_dict(path))


def _pictures(container: Format) -> Callable[[], list[bytes]]:
    return functools.partial(seeds.pictures, container)


TARGETS: dict[str, Target] = {
    "frame": Target(seeds.frames, _frame, examples=300),
    "multipart": Target(seeds.forms, _form),
    "jpeg": Target(_pictures(Format.JPEG), _picture),
    "png": Target(_pictures(Format.PNG), _picture, with_checksums),
    "tiff": Target(_pictures(Format.TIFF), _picture),
    "webp": Target(_pictures(Format.WEBP), _picture),
    "icc": Target(seeds.profiles, _profile, examples=100),
    "exif": Target(seeds.exif_blocks, _exif, examples=300),
    "xmp": Target(lambda: [seeds.XMP], _xmp, examples=300),
    "checkpoint": Target(seeds.checkpoints, _checkpoint, examples=100),
    "store": Target(row_seeds, attack_row, examples=60),
}

__all__ = ["TARGETS", "Image", "Target"]
