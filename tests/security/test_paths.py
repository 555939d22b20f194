"""Hostile paths and names, by the rules of every system: what is accepted leads nowhere else.

Line 9 of the security checklist. Windows is judged by `PureWindowsPath`, which knows its rules anywhere.
"""

from __future__ import annotations

import itertools
import os
import socket
import unicodedata
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.errors import InvalidRequest, PathRefused, SourceMissing
from bridge.jobs.job import Lease
from bridge.jobs.names import check_template, numbered, result_name
from bridge.jobs.sources import check_relative, resolved
from bridge.presets import Parameters
from bridge.protocol.enhancement import EnhanceRequest
from bridge.protocol.jobs import JobOutput, Source
from bridge.server.checkpoints import exchanged
from tests.server.conftest import OWNER, Bridge, Samples

HOSTILE = [
    *("..", "../x", "a/../../x", "a/..", "./x", "a/./x", "a//x", "/x", "//host/share/x", "/", "a/"),
    *("\\x", "..\\x", "a\\..\\..\\x", "\\\\host\\share\\x", "\\\\?\\C:\\x", "\\\\.\\pipe\\x"),
    *("C:x", "C:/x", "c:\\x", "x:stream", "x.png::$DATA", "a:/x", "file:///etc/passwd"),
    *("CON", "con.png", "a/NUL", "aux.", "a/COM1.tif", "LPT9", "nul .png", "CONIN$", "COM¹", "prn.a.b"),
    *(
        "x\0",
        "x\0.png",
        "x\n",
        "\x1b[2J",
        "x ",
        "x.",
        "x. .",
        ". ",
        "...",
        "a/.../x",
        "x*",
        "x?",
        '"x"',
        "<x>",
        "|",
    ),
    *("..%2f..%2fx\\..", "....//x", "~/../x", "$HOME/../x"),
]
"""Names that no rule of any system may take for a plain way down."""

signs = st.sampled_from([*list("ab.. //\\:~$%*\x00 \u202éé"), "..", "CON", "nul", "COM1", "C:", "\\\\?\\"])
names = st.lists(signs, max_size=12).map("".join) | st.text(max_size=30)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_source_is_a_plain_way_down(name: str) -> None:
    with pytest.raises(PathRefused):
        check_relative(name)


@given(name=names)
@example("婚礼/Müller 1.nef")
def test_what_is_accepted_stays_below_its_folder_on_every_system(name: str) -> None:
    try:
        check_relative(name)
    except PathRefused:
        return
    for kind, root in ((PureWindowsPath, "C:/exchange"), (PurePosixPath, "/exchange")):
        path = kind(root) / name
        assert path.is_relative_to(kind(root))
        assert path != kind(root)
        assert ".." not in path.parts
        assert len(path.parts) == len(kind(root).parts) + len(name.split("/"))
    windows = PureWindowsPath(name)
    assert not (windows.drive)
    assert not (windows.root)
    assert not (windows.is_reserved())


async def test_over_the_wire_they_are_refused_too(bridge: Bridge) -> None:
    for name in HOSTILE:
        items = [{"ref": "x", "source": {"path": name}}]
        told = await bridge("POST", "/v1/jobs", json={"items": items})
        assert told.code in ("path_refused", "invalid_request"), (name, told.body)
        asked = {"file": name, "accept_licence": True}
        told = await bridge("POST", "/v1/checkpoints", json=asked)
        assert told.code == "invalid_request", (name, told.body)


@pytest.mark.parametrize(
    "name",
    ["a" * 255, "a" * 256, "a" * 1024, "é" * 200, "a/" * 400 + "x", "\ud800", "e\u0301", "\u202egnp.exe"],
)
async def test_names_that_only_some_systems_have_are_missing_not_a_failure(bridge: Bridge, name: str) -> None:
    with pytest.raises((SourceMissing, PathRefused)):
        resolved(name, [bridge.places.exchange])
    with pytest.raises(InvalidRequest):
        exchanged(bridge.places.exchange, name)
    if name != "\ud800":  # no JSON can carry it
        items = [{"ref": "x", "source": {"path": name}}]
        told = await bridge("POST", "/v1/jobs", json={"items": items})
        assert told.code in ("source_missing", "path_refused", "invalid_request")


@pytest.mark.skipif(os.name == "nt", reason="these are files of Unix")
def test_only_plain_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "exchange"
    (root / "folder").mkdir(parents=True)
    os.mkfifo(root / "pipe")
    (root / "zero").symlink_to("/dev/zero")
    (root / "loop").symlink_to(root / "loop")
    (root / "nowhere").symlink_to(root / "gone")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(root)  # the path of a socket must be short
        listening.bind("socket")
        for name in ("folder", "pipe", "zero", "loop", "nowhere", "socket"):
            with pytest.raises((SourceMissing, PathRefused)):
                resolved(name, [root])
            with pytest.raises(InvalidRequest):
                exchanged(root, name)


@pytest.mark.skipif(os.name == "nt", reason="on Windows only some users may make links")
def test_no_link_on_the_way_leads_out(tmp_path: Path) -> None:
    root, outside = tmp_path / "exchange", tmp_path / "outside"
    for folder in (root / "in", outside):
        folder.mkdir(parents=True)
        (folder / "x.png").write_bytes(b"x")
    (root / "out").symlink_to(outside)
    (root / "up").symlink_to("..")
    (root / "deep").symlink_to("in/../../outside")
    (root / "inside").symlink_to("in")
    for name in ("out/x.png", "up/outside/x.png", "deep/x.png"):
        with pytest.raises(PathRefused):
            resolved(name, [root])
    assert resolved("inside/x.png", [root]) == root / "in" / "x.png"
    # A folder whose name begins like the root's is not the root.
    (tmp_path / "exchange2").mkdir()
    (tmp_path / "exchange2" / "x.png").write_bytes(b"x")
    (root / "sibling").symlink_to(tmp_path / "exchange2")
    with pytest.raises(PathRefused):
        resolved("sibling/x.png", [root])


LEASE = Lease(
    lease_id="1",
    job="2",
    item=0,
    ref="3",
    source=Source(path="x"),
    source_name="x",
    output=JobOutput(),
    question=EnhanceRequest(),
    parameters=Parameters(),
    client="4",
    client_id="5",
    made_on="2026-11-27",
    attempt=1,
    crashes=0,
    alone=False,
    interactive=False,
)


@given(
    source=names,
    client=names,
    template=st.lists(
        st.sampled_from(["{stem}", "{client}", "{preset}", "{date}", "/", "..", ".", " ", "CON", "a"]),
        min_size=1,
        max_size=8,
    ).map("".join),
)
@example("CON.png", "NUL", "{client}")
@example("..", "..", "{stem}/{client}")
@example("x" * 300, "é" * 300, "{stem}{client}-GPEN")
@example("e\u0301.png", "\u202eexe", "{stem} {client}")
def test_a_result_has_a_name_that_every_system_takes_and_lies_in_its_folder(
    source: str, client: str, template: str
) -> None:
    try:
        check_template(template)
        output = JobOutput(template=template)
    except (InvalidRequest, ValueError):
        return
    name = result_name(replace(LEASE, source_name=source, client=client, output=output), "image/png")
    for path in (name, numbered(name, 12345)):
        windows = PureWindowsPath("C:/outputs") / str(path)
        assert windows.is_relative_to("C:/outputs")
        assert not PureWindowsPath(path.name).is_reserved()
        assert len(windows.parts) == 2 + len(path.parts)
        for part in path.parts:
            assert part not in ("", ".", "..")
            assert len(part.encode("utf-8")) <= 255 - len(".gpen-0123456789abcdef.part")
            assert not set(part) & set('<>:"|?*\\/\0')
            assert unicodedata.is_normalized("NFC", part)


async def test_a_template_that_is_none_is_refused(bridge: Bridge, samples: Samples) -> None:
    (bridge.places.exchange / "x.png").write_bytes(samples.png)
    outside = ["..", "../x", "/x", "a//b", "C:\\x", "\\\\h\\x", "a/", "", "a/" * 9 + "b"]
    fields = ["{stem.__class__}", "{stem[0]}", "{0}", "{}", "{stem!r}", "{stem:>9999999}", "{x}", "{stem"]
    for template in outside + fields:
        items = [{"ref": "x", "source": {"path": "x.png"}}]
        told = await bridge("POST", "/v1/jobs", json={"items": items, "output": {"template": template}})
        assert told.code == "invalid_request", (template, told.body)


async def test_an_upload_lies_under_a_name_of_ours(bridge: Bridge, samples: Samples) -> None:
    for name in (*HOSTILE, "a" * 5000, "e\u0301", "\u202egnp.exe"):
        before = set(bridge.places.data.parent.rglob("*"))
        headers = {"Content-Type": "application/octet-stream", "GPEN-File-Name": quote(name)}
        told = await bridge("POST", "/v1/uploads", headers=headers, data=samples.png)
        added = set(bridge.places.data.parent.rglob("*")) - before - {bridge.places.uploads}
        assert told.status == 201 or told.code == "invalid_request", (name, told.body)
        assert all(path.parent == bridge.places.uploads for path in added), (name, added)
        assert len(added) == (told.status == 201)


async def test_a_preset_lies_under_a_name_of_ours(bridge: Bridge) -> None:
    for name in HOSTILE:
        before = set(bridge.places.data.parent.rglob("*.json"))
        told = await bridge("PUT", f"/v1/presets/{quote(name, safe='')}", json={"parameters": {}})
        added = set(bridge.places.data.parent.rglob("*.json")) - before
        assert all(path.parent == bridge.places.presets for path in added), (name, added)
        assert told.status < 500


async def test_an_id_in_an_address_is_no_path(bridge: Bridge) -> None:
    kinds = ("uploads", "jobs", "presets", "checkpoints", "clients", "requests")
    steps = ("..", "%2e%2e", "..%2f..%2fsettings.toml", "..%5c..", "%00", "a" * 3000)
    tails = ("", "/items/0/result", "/items/0/preview")
    for kind, step, tail in itertools.product(kinds, steps, tails):
        told = await bridge.raw(
            f"GET /v1/{kind}/{step}{tail} HTTP/1.1\r\nHost: 127.0.0.1:{bridge.port}\r\n"
            f"Authorization: Bearer {OWNER}\r\n\r\n".encode()
        )
        assert 400 <= told.status < 500, (kind, step, told.status)
