"""Writes the vectors of this folder: frames, and the JSON that they mean (README.md)."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

FACE = {
    "box": [10.25, 12.5, 40.75, 52.5],
    "landmarks": [[18.5, 26.25], [32.5, 26.25], [25.5, 34.5], [20.25, 42.5], [30.75, 42.5]],
    "score": 0.875,
}


def frame(header: bytes, payloads: bytes = b"", *, version: int = 1, zeros: bytes = b"\0\0\0") -> bytes:
    """A frame laid out by hand, so that the vectors do not depend on the code that they test."""
    return b"GPEN" + struct.pack("<B3sI", version, zeros, len(header)) + header + payloads


def canonical(content: Any) -> bytes:
    """JSON as every writer of frames writes it."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def readable(kind: str, message: Any, *payloads: tuple[dict[str, Any], bytes]) -> tuple[bytes, Any]:
    """A frame that can be read, and its meaning."""
    declared = [{**payload, "bytes": len(content)} for payload, content in payloads]
    data = frame(
        canonical({kind: message, "payloads": declared}), b"".join(content for _, content in payloads)
    )
    meant = [
        {**payload, "content": content.hex()}
        for payload, (_, content) in zip(declared, payloads, strict=True)
    ]
    return data, {"kind": kind, "message": message, "payloads": meant, "canonical": True}


def refused(data: bytes, code: str = "frame_malformed") -> tuple[bytes, Any]:
    """A frame that must be refused."""
    return data, {"error": code}


def pixels(name: str = "image", **facts: Any) -> dict[str, Any]:
    """A pixels payload of 2 x 2."""
    return {"name": name, "kind": "pixels", "channels": 3, "depth": "u8", "width": 2, "height": 2, **facts}


def with_payload(**changes: Any) -> bytes:
    """A request for 2 x 2 RGB u8, changed; twelve payload bytes follow whatever it says."""
    payload = {**pixels(), "bytes": 12, **changes}
    return frame(canonical({"request": {}, "payloads": [payload]}), bytes(12))


def vectors() -> dict[str, tuple[bytes, Any]]:
    """Every vector by name: the bytes and what they mean."""
    rgb = bytes(range(12))
    ask = canonical({"request": {}, "payloads": []})
    whole = with_payload()
    return {
        "request-u8-rgb": readable("request", {"preset": "phone"}, (pixels(), rgb)),
        "request-u8-named-profile": readable("request", {}, (pixels(profile="Adobe RGB (1998)"), rgb)),
        "request-u16-rgba-icc": readable(
            "request",
            {"compose": "layers", "faces": [FACE], "params": {"denoise": 0, "sharpen": 0, "strength": 70}},
            (pixels(channels=4, depth="u16"), struct.pack("<16H", *range(0, 65536, 4369))),
            ({"name": "icc", "kind": "icc"}, b"not a real profile"),
        ),
        "request-f32-gray": readable(
            "request",
            {"select": "largest"},
            (pixels(channels=1, depth="f32"), struct.pack("<4f", 0.0, 0.25, 1.0, 1.5)),
        ),
        "request-file": readable(
            "request",
            {"preset": "婚礼 – café", "output": {"format": "tiff", "depth": 16}},
            ({"name": "image", "kind": "file", "media_type": "image/jpeg"}, b"\xff\xd8\xff\xe0..."),
        ),
        "result-composite": readable(
            "result",
            {
                "width": 2,
                "height": 2,
                "faces": [{**FACE, "size": 30.5, "checkpoint": "gpen-lite-256"}],
                "seconds": {"detect": 0.125, "restore": 1.5},
                "warnings": ['A "quoted" \\ warning\nof two lines.'],
            },
            (pixels(), rgb),
            (pixels("mask", channels=1), bytes([0, 64, 128, 255])),
        ),
        "result-without-payloads": readable("result", {"faces": []}),
        "request-empty-file": readable(
            "request", {}, ({"name": "image", "kind": "file", "media_type": "image/png"}, b"")
        ),
        "request-not-canonical": (
            frame(b' { "payloads" : [ ] ,\r\n\t"request" : { "preset" : "caf\\u00e9" } } '),
            {"kind": "request", "message": {"preset": "café"}, "payloads": [], "canonical": False},
        ),
        "request-payloads-left-out": (
            frame(canonical({"request": {}})),
            {"kind": "request", "message": {}, "payloads": [], "canonical": False},
        ),
        "bad-empty": refused(b""),
        "bad-magic": refused(b"JPEN" + whole[4:]),
        "bad-version": refused(frame(ask, version=2), "protocol_mismatch"),
        "bad-zeros": refused(frame(ask, zeros=b"\0\1\0")),
        "bad-header-length": refused(b"GPEN\1\0\0\0" + struct.pack("<I", 2**32 - 1)),
        "bad-cut-in-prefix": refused(whole[:11]),
        "bad-cut-in-header": refused(whole[:40]),
        "bad-cut-in-payload": refused(whole[:-1]),
        "bad-bytes-behind": refused(whole + b"\0"),
        "bad-not-json": refused(frame(b"{'request': {}}")),
        "bad-not-utf-8": refused(frame(b'{"request": {"preset": "\xff"}}')),
        "bad-not-an-object": refused(frame(b"[]")),
        "bad-nan": refused(frame(b'{"request": {"x": NaN}}')),
        "bad-lone-surrogate": refused(frame(b'{"request": {"x": "\\ud800"}}')),
        "bad-nesting": refused(frame(b'{"request": ' + b'{"a":' * 1000 + b"1" + b"}" * 1001)),
        "bad-two-kinds": refused(frame(canonical({"request": {}, "result": {}}))),
        "bad-no-kind": refused(frame(canonical({"payloads": []}))),
        "bad-request-is-a-list": refused(frame(canonical({"request": []}))),
        "bad-unknown-key": refused(frame(canonical({"request": {}, "payload": []}))),
        "bad-payloads-is-an-object": refused(frame(canonical({"request": {}, "payloads": {}}))),
        "bad-same-name-twice": refused(
            frame(canonical({"request": {}, "payloads": [{**pixels(), "bytes": 12}] * 2}), bytes(24))
        ),
        "bad-size": refused(with_payload(bytes=11)),
        "bad-dimensions": refused(with_payload(width=2**40, height=2**40)),
        "bad-no-pixels": refused(with_payload(width=0, bytes=0)),
        "bad-negative": refused(with_payload(bytes=-12, height=-2)),
        "bad-fraction": refused(with_payload(width=2.5)),
        "bad-text-for-number": refused(with_payload(width="2")),
        "bad-channels": refused(with_payload(channels=2, bytes=8)),
        "bad-depth": refused(with_payload(depth="u32", bytes=48)),
        "bad-kind": refused(with_payload(kind="video")),
        "bad-name": refused(with_payload(name="../image")),
        "bad-misspelt-profile": refused(with_payload(profil="sRGB")),
    }


def files() -> dict[str, bytes]:
    """The files of this folder by name."""
    written: dict[str, bytes] = {}
    for name, (data, meant) in vectors().items():
        written[f"{name}.frame"] = data
        written[f"{name}.json"] = (json.dumps(meant, ensure_ascii=False, indent=1) + "\n").encode()
    written["proofs.json"] = (json.dumps(proofs(), indent=1) + "\n").encode()
    return written


def proofs() -> list[dict[str, Any]]:
    """What a bridge answers to a challenge (docs/protocol.md, "Whether it is ours")."""
    made = []
    for port, token, nonce in (
        (17860, "Zm9yIHRoZSB2ZWN0b3JzIG9ubHksIG5vYm9keSdzIG4", "0123456789abcdef"),
        (443, "t", "nonce-nonce_NONCE"),
        (61234, "long " * 30, "n" * 128),
    ):
        secret = hashlib.sha256(token.encode()).hexdigest()
        said = f"gpen-bridge:{port}:{nonce}".encode()
        made.append(
            {
                "url": f"http://127.0.0.1:{port}",
                "token": token,
                "nonce": nonce,
                "secret": hashlib.sha256(secret.encode()).hexdigest()[:16],
                "proof": hmac.new(secret.encode(), said, "sha256").hexdigest(),
            }
        )
    return made


if __name__ == "__main__":
    for name, content in files().items():
        (FOLDER / name).write_bytes(content)
