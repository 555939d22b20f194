"""Small sound files of every kind, made here: of a few kilobytes, so that most damage hits what counts."""

from __future__ import annotations

import functools
import io
import json
import struct
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image as Pillow

from bridge.imaging.codecs import Format, encode
from bridge.imaging.containers import exif, ifd
from bridge.imaging.image import Image, Metadata, Pixels
from bridge.imaging.profiles import built_in
from bridge.network import checkpoint
from bridge.network.architecture import Architecture
from bridge.network.gpen import GPEN
from bridge.protocol.frame import encode_frame
from bridge.protocol.picture import file_payload, icc_payload, pixels_payload

XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="uuid:7"'
    ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmp:Rating="4" tiff:Orientation="6"> <!-- a note -->'
    "<dc:subject><rdf:Bag><rdf:li>bride &amp; groom</rdf:li></rdf:Bag></dc:subject>"
    "<dc:format>image/tiff</dc:format></rdf:Description>"
    '<rdf:Description rdf:about="" xmlns:n="http://ns.adobe.com/xmp/note/"'
    ' n:HasExtendedXMP="0123456789ABCDEF0123456789ABCDEF"/></rdf:RDF></x:xmpmeta>  \n<?xpacket end="w"?>'
).encode()
IPTC = b"\x1c\x02\x00\x00\x02\x00\x04\x1c\x02\x05\x00\x05Title\x1c\x02\x19\x00\x07wedding"


@functools.cache
def exif_blocks() -> list[bytes]:
    """Camera, photo and GPS directories in both byte orders, one with a thumbnail."""
    blocks = []
    for order in "<>":
        made = Pillow.Exif()
        made.endian = order
        made.update({271: "Canon", 272: "EOS R5", 274: 6, 282: 300.0, 283: 300.0, 296: 2, 315: "Ana"})
        made.get_ifd(34665).update({33434: 0.005, 34855: 400, 37500: b"MAKER" * 20, 40962: 9, 40963: 7})
        made.get_ifd(34853).update({1: "N", 2: (47.0, 3.0, 1.0), 3: "E", 4: (8.0, 1.0, 2.0)})
        blocks.append(made.tobytes().removeprefix(b"Exif\0\0"))
    small = io.BytesIO()
    Pillow.new("RGB", (8, 8)).save(small, "JPEG")
    little: Literal["<"] = "<"
    at = len(blocks[0])
    link = 8 + 2 + 12 * struct.unpack_from(little + "H", blocks[0], 8)[0]
    fields = {513: ifd.field(little, ifd.LONG, at + 42), 514: ifd.field(little, ifd.LONG, small.tell())}
    directory = ifd.laid_out(little, {259: ifd.field(little, ifd.SHORT, 6), **fields}, at)
    linked = blocks[0][:link] + struct.pack(little + "I", at) + blocks[0][link + 4 :]
    return [*blocks, linked + directory + small.getvalue(), exif.of_resolution((300, 300))]


@functools.cache
def pictures(container: Format) -> list[bytes]:
    """Gray, colour and alpha in the depths of a container, with and without everything that rides along."""
    random = np.random.default_rng(3)
    riding = Metadata(exif=exif_blocks()[0], xmp=XMP, iptc=IPTC, dots_per_inch=(300, 300))
    made = []
    for channels in (1, 3, 4):
        for dtype in (np.uint8, np.uint16, np.float32):
            pixels: Pixels = random.integers(0, 255, (7, 9, channels)).astype(dtype)
            icc = built_in("Gray Gamma 2.2" if channels == 1 else "Display P3")
            made.append(encode(Image(pixels, icc, riding), container).data)
            made.append(encode(Image(pixels), container, quality=100).data)
    return list(dict.fromkeys(made)) + _by_pillow(container)


def _by_pillow(container: Format) -> list[bytes]:
    """What we read but do not write: palettes, progressive scans, other compressions."""
    plain = Pillow.fromarray(np.random.default_rng(4).integers(0, 255, (40, 56, 3)).astype(np.uint8))
    ways: dict[Format, list[tuple[Pillow.Image, dict[str, Any]]]] = {
        Format.JPEG: [(plain, {"progressive": True}), (plain.convert("L"), {"restart_marker_rows": 1})],
        Format.PNG: [
            (plain.quantize(16), {}),
            (plain.convert("1"), {}),
            (plain.quantize(9), {"transparency": 2}),
        ],
        Format.TIFF: [
            (plain, {"compression": "tiff_lzw"}),
            (plain, {"compression": "jpeg"}),
            (plain, {"compression": "packbits"}),
            (plain.quantize(16), {}),
            (plain.convert("1"), {}),
            (plain, {"compression": "tiff_adobe_deflate", "big_tiff": True}),
        ],
        Format.WEBP: [(plain.convert("RGBA"), {"lossless": True}), (plain, {"quality": 40})],
    }
    made = []
    for picture, options in ways[container]:
        file = io.BytesIO()
        picture.save(file, container.value, **options)
        made.append(file.getvalue())
    return made


@functools.cache
def profiles() -> list[bytes]:
    """Curves, tables of gray, and a version 2 profile."""
    from PIL import ImageCms

    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    names = ("sRGB", "Display P3", "Adobe RGB (1998)", "Gray Gamma 2.2")
    return [*(built_in(name) for name in names), lab]


@functools.cache
def frames() -> list[bytes]:
    """A request of pixels, one with a profile, one of a file, and a result."""
    pixels: Pixels = np.arange(7 * 9 * 3, dtype=np.uint8).reshape(7, 9, 3)
    raw = pixels_payload("image", pixels)
    floats = pixels_payload("image", np.divide(pixels, 255, dtype=np.float32))
    png = pictures(Format.PNG)[1]
    asked = {"preset": "dslr", "params": {"strength": 50}, "faces": [{"box": [1, 1, 6, 6]}]}
    return [
        encode_frame("request", asked, [raw]),
        encode_frame("request", {}, [floats, icc_payload(built_in("sRGB"))]),
        encode_frame("request", {}, [file_payload("image", png, "image/png")]),
        encode_frame("result", {"width": 9}, [raw]),
    ]


@functools.cache
def forms() -> list[bytes]:
    """multipart/form-data with the boundary `x`."""
    disposed = b"--x\r\nContent-Disposition: form-data; name="
    png = pictures(Format.PNG)[1]
    image = disposed + b'"image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n' + png + b"\r\n"
    question = json.dumps({"preset": "dslr", "params": {"strength": 50}}).encode()
    asked = disposed + b'"request"\r\n\r\n' + question + b"\r\n"
    encoded = disposed + b'"image"\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=\r\n'
    nested = b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\na\r\n--y--\r\n"
    return [body + b"--x--\r\n" for body in (image, asked + image, encoded, nested)]


@functools.cache
def checkpoints() -> list[bytes]:
    """The smallest GPEN as safetensors, as a PyTorch archive, and as the pickle of PyTorch before 1.6."""
    torch.manual_seed(1)
    state = GPEN(Architecture((1,) * 3, style_dim=2, mlp_depth=1)).state_dict()
    made = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny"
        checkpoint.save(state, path, {"a": "b"})
        made.append(path.read_bytes())
        for content, zipped in ((state, True), ({"g_ema": state}, True), (state, False)):
            torch.save(content, path, _use_new_zipfile_serialization=zipped)
            made.append(path.read_bytes())
    return made
