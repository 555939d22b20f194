from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import MalformedFrame, ProtocolMismatch, codes
from bridge.protocol.frame import (
    MAX_HEADER_BYTES,
    MAX_PAYLOADS,
    FilePayload,
    Frame,
    IccPayload,
    PixelsPayload,
    decode_frame,
    encode_frame,
    frame_parts,
    header_length,
    parse_header,
)
from tests.vectors.generate import files

VECTORS = Path(__file__).parents[1] / "vectors"
NAMES = sorted(path.stem for path in VECTORS.glob("*.frame"))

names = st.from_regex(r"[a-z][a-z0-9_-]{0,10}", fullmatch=True)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
values = scalars | texts | st.lists(scalars | texts, max_size=3) | st.dictionaries(texts, scalars, max_size=3)


@st.composite
def payloads(draw: st.DrawFn) -> list[tuple[Any, bytes]]:
    made: list[tuple[Any, bytes]] = []
    for name in draw(st.lists(names, max_size=4, unique=True)):
        kind = draw(st.sampled_from(["pixels", "file", "icc"]))
        if kind == "pixels":
            width, height = draw(st.integers(1, 9)), draw(st.integers(1, 9))
            channels, depth = draw(st.sampled_from([1, 3, 4])), draw(st.sampled_from(["u8", "u16", "f32"]))
            length = width * height * channels * {"u8": 1, "u16": 2, "f32": 4}[depth]
            facts = {"width": width, "height": height, "channels": channels, "depth": depth}
            payload: Any = PixelsPayload.model_validate({"name": name, "bytes": length, **facts})
        else:
            length = draw(st.integers(0, 50))
            payload = (
                IccPayload(name=name, bytes=length)
                if kind == "icc"
                else FilePayload(name=name, bytes=length, media_type="image/png")
            )
        made.append((payload, draw(st.binary(min_size=length, max_size=length))))
    return made


def test_the_vectors_are_as_generated() -> None:
    lying_here = {
        path.name: path.read_bytes() for path in VECTORS.glob("*.*") if path.suffix in (".frame", ".json")
    }
    assert lying_here == files()


@pytest.mark.parametrize("name", NAMES)
def test_vectors_mean_what_they_say(name: str) -> None:
    data = (VECTORS / f"{name}.frame").read_bytes()
    meant = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    if "error" in meant:
        with pytest.raises(codes()[meant["error"]]) as caught:
            decode_frame(data)
        assert caught.value.detail.endswith(".")
        caught.value.detail.encode()  # can be put on the wire
        return
    frame = decode_frame(data)
    assert (frame.header.kind, frame.header.message) == (meant["kind"], meant["message"])
    described = [
        {**payload.model_dump(exclude_none=True), "content": frame.views[payload.name].hex()}
        for payload in frame.header.payloads
    ]
    assert described == meant["payloads"]
    if meant["canonical"]:
        parts = [(payload, frame.views[payload.name]) for payload in frame.header.payloads]
        assert encode_frame(frame.header.kind, frame.header.message, parts) == data


@settings(max_examples=50)
@given(st.sampled_from(["request", "result"]), st.dictionaries(texts, values, max_size=4), payloads())
def test_there_and_back(kind: Any, message: Any, parts: Any) -> None:
    frame = decode_frame(encode_frame(kind, message, parts))
    assert frame.header.kind == kind
    assert frame.header.message == message
    assert [payload for payload, _ in parts] == list(frame.header.payloads)
    assert {payload.name: content for payload, content in parts} == {
        name: bytes(view) for name, view in frame.views.items()
    }


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_a_frame_or_refused_by_name(data: bytes, with_prefix: bool) -> None:
    if with_prefix:
        data = b"GPEN\1\0\0\0" + struct.pack("<I", len(data)) + data
    try:
        frame = decode_frame(data)
    except (MalformedFrame, ProtocolMismatch):
        return
    assert isinstance(frame, Frame)


@settings(max_examples=50)
@given(payloads(), st.data())
def test_a_damaged_frame_is_a_frame_or_refused_by_name(parts: Any, data: st.DataObject) -> None:
    whole = bytearray(encode_frame("request", {"preset": "phone"}, parts))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    with contextlib.suppress(MalformedFrame, ProtocolMismatch):
        decode_frame(bytes(whole[:cut]))


def test_payloads_are_views() -> None:
    payload = FilePayload(name="image", bytes=4, media_type="image/png")
    data = bytearray(encode_frame("request", {}, [(payload, b"abcd")]))
    frame = decode_frame(data)
    data[-1:] = b"!"
    assert bytes(frame.views["image"]) == b"abc!"
    content = b"x" * 4
    assert frame_parts("request", {}, [(payload, content)])[-1] is content


def test_a_header_of_one_mebibyte_is_the_most() -> None:
    room = MAX_HEADER_BYTES - len('{"payloads":[],"request":{"x":""}}')
    assert decode_frame(encode_frame("request", {"x": "a" * room}))
    with pytest.raises(ValueError, match="too long"):
        encode_frame("request", {"x": "a" * (room + 1)})
    assert header_length(b"GPEN\1\0\0\0" + struct.pack("<I", MAX_HEADER_BYTES)) == MAX_HEADER_BYTES
    with pytest.raises(MalformedFrame):
        header_length(b"GPEN\1\0\0\0" + struct.pack("<I", MAX_HEADER_BYTES + 1))


def test_payloads_are_counted() -> None:
    def header(count: int) -> bytes:
        listed = [{"name": f"p{number}", "kind": "icc", "bytes": 0} for number in range(count)]
        return json.dumps({"request": {}, "payloads": listed}).encode()

    assert len(parse_header(header(MAX_PAYLOADS)).payloads) == MAX_PAYLOADS
    with pytest.raises(MalformedFrame):
        parse_header(header(MAX_PAYLOADS + 1))


def test_a_writer_may_not_lie_about_lengths() -> None:
    with pytest.raises(ValueError, match="declares 4 bytes"):
        encode_frame("request", {}, [(IccPayload(name="icc", bytes=4), b"abc")])
