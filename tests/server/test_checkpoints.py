from __future__ import annotations

import asyncio
import hashlib
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import DownloadFailed, InvalidRequest
from bridge.server.checkpoints import exchanged
from tests.checkpoints.house import pth
from tests.server.conftest import Bridge

OFFICIAL = "gpen-bfr-512"


async def state_of(bridge: Bridge, name: str) -> dict[str, Any]:
    listed = (await bridge("GET", "/v1/checkpoints")).json["checkpoints"]
    (state,) = [state for state in listed if state["name"] == name]
    return dict(state)


async def until(bridge: Bridge, name: str, wanted: Any) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while not wanted(state := await state_of(bridge, name)):
            await asyncio.sleep(0.01)
    return state


async def test_known_checkpoints_come_with_their_terms(bridge: Bridge) -> None:
    official = await state_of(bridge, OFFICIAL)
    assert not official["installed"]
    assert not official["licence"]["accepted"]
    assert not official["licence"]["commercial"]
    assert "non-commercial" in official["licence"]["terms"]
    listed = (await bridge("GET", "/v1/checkpoints")).json["checkpoints"]
    assert (await bridge("GET", "/v1/capabilities")).json["checkpoints"] == listed


async def test_nothing_is_downloaded_without_consent(bridge: Bridge) -> None:
    reply = await bridge("POST", "/v1/checkpoints", json={"download": OFFICIAL})
    assert reply.code == "licence_not_accepted"
    assert "non-commercial" in reply.json["detail"]
    assert "transfer" not in await state_of(bridge, OFFICIAL)


async def test_a_download_shows_how_far_it_is(bridge: Bridge) -> None:
    body = {"download": OFFICIAL, "accept_licence": True}
    for _ in range(2):  # the second one joins the first
        assert (await bridge("POST", "/v1/checkpoints", json=body)).status == 202
    state = await until(bridge, OFFICIAL, lambda state: state["transfer"]["done"])
    assert state["transfer"] == {"done": 10, "total": 100}
    bridge.fakes.checkpoints.arrived.set()
    await until(bridge, OFFICIAL, lambda state: "transfer" not in state)


async def test_a_failed_download_says_why_and_can_be_begun_again(bridge: Bridge) -> None:
    fake = bridge.fakes.checkpoints
    fake.failure = DownloadFailed("No source gave the file.")
    fake.arrived.set()
    body = {"download": OFFICIAL, "accept_licence": True}
    await bridge("POST", "/v1/checkpoints", json=body)
    state = await until(bridge, OFFICIAL, lambda state: "problem" in state["transfer"])
    assert state["transfer"]["problem"]["code"] == "download_failed"
    fake.failure = None
    await bridge("POST", "/v1/checkpoints", json=body)
    await until(bridge, OFFICIAL, lambda state: "transfer" not in state)


async def test_a_download_that_fails_without_a_name_is_not_under_way_for_ever(bridge: Bridge) -> None:
    fake = bridge.fakes.checkpoints
    fake.failure = RuntimeError("what nobody thought of")
    fake.arrived.set()
    await bridge("POST", "/v1/checkpoints", json={"download": OFFICIAL, "accept_licence": True})
    state = await until(bridge, OFFICIAL, lambda state: "problem" in state["transfer"])
    assert state["transfer"]["problem"]["code"] == "internal"


async def test_stopping_the_bridge_stops_a_download(bridge: Bridge) -> None:
    await bridge("POST", "/v1/checkpoints", json={"download": OFFICIAL, "accept_licence": True})
    async with asyncio.timeout(2):
        await bridge.app.shutdown()
        await bridge.app.cleanup()


async def test_a_download_that_hangs_does_not_hold_up_the_end(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    connecting, ended = threading.Event(), threading.Event()

    def hangs(*_: object) -> None:
        connecting.set()
        ended.wait(30)
        raise DownloadFailed("No source gave the file.")

    monkeypatch.setattr(bridge.fakes.checkpoints, "pull", hangs)
    monkeypatch.setattr("bridge.server.checkpoints.STOP_SECONDS", 0.2)
    await bridge("POST", "/v1/checkpoints", json={"download": OFFICIAL, "accept_licence": True})
    await asyncio.to_thread(connecting.wait)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "download"]
    assert thread.daemon  # Python waits for all others at its end
    async with asyncio.timeout(2):
        await bridge.app.shutdown()
        await bridge.app.cleanup()
    ended.set()
    await asyncio.to_thread(thread.join)


async def test_a_foreign_file_is_named_and_not_kept(bridge: Bridge) -> None:
    (bridge.places.exchange / "mine.pth").write_bytes(b"not a checkpoint")
    body = {"file": "mine.pth", "accept_licence": True}
    reply = await bridge("POST", "/v1/checkpoints", json=body)
    assert reply.code.startswith("checkpoint_")
    assert "mine" not in {entry.name for entry in bridge.fakes.checkpoints.entries()}


async def sent(bridge: Bridge, name: str, content: bytes) -> str:
    headers = {"Content-Type": "application/octet-stream", "GPEN-File-Name": name}
    return str((await bridge("POST", "/v1/uploads", headers=headers, data=content)).json["upload"])


async def test_an_upload_is_imported_after_its_terms_were_seen(bridge: Bridge, tmp_path: Path) -> None:
    content = pth(tmp_path / "small.pth").read_bytes()
    upload = await sent(bridge, "Studio%20Net.pth", content)
    asked = {"upload": upload}
    refused = await bridge("POST", "/v1/checkpoints", json=asked)
    assert refused.code == "licence_not_accepted"
    assert "You brought this file yourself" in refused.json["detail"]
    assert (await bridge("GET", f"/v1/uploads/{upload}")).json["complete"]
    done = await bridge("POST", "/v1/checkpoints", json={**asked, "accept_licence": True})
    assert done.status == 202
    state = await state_of(bridge, "studio-net")
    assert state["installed"]
    assert state["sha256"] == hashlib.sha256(content).hexdigest()
    assert (await bridge("GET", f"/v1/uploads/{upload}")).code == "upload_unknown"
    assert not list(bridge.places.uploads.iterdir())


async def test_an_upload_is_checked_as_a_file_is(bridge: Bridge) -> None:
    for name, content, code in (
        ("mine.pth", b"not a checkpoint", "checkpoint_invalid"),
        ("GPEN-BFR-512.pth", b"PK\x03\x04", "checkpoint_truncated"),
        ("mine.pth", pickle.dumps({"g_ema": os.system}), "checkpoint_unsafe"),
    ):
        upload = await sent(bridge, name, content)
        reply = await bridge("POST", "/v1/checkpoints", json={"upload": upload, "accept_licence": True})
        assert reply.code == code, name
        assert name in reply.json["detail"]
    assert not [path for path in bridge.places.uploads.iterdir() if path.is_dir()]


async def test_half_an_upload_is_not_imported(bridge: Bridge) -> None:
    headers = {"Content-Type": "application/octet-stream", "Upload-Length": "10"}
    upload = (await bridge("POST", "/v1/uploads", headers=headers)).json["upload"]
    body = {"accept_licence": True}
    assert (
        await bridge("POST", "/v1/checkpoints", json={**body, "upload": upload})
    ).code == "upload_incomplete"
    assert (await bridge("POST", "/v1/checkpoints", json={**body, "upload": "../x"})).code == "upload_unknown"


@pytest.mark.parametrize(
    "body",
    [{}, {"download": "a", "file": "b"}, {"file": "a", "upload": "b"}, {"download": ""}, {"url": "http://x"}],
)
async def test_it_takes_one_thing(bridge: Bridge, body: dict[str, str]) -> None:
    assert (await bridge("POST", "/v1/checkpoints", json=body)).code == "invalid_request"


async def test_unknown_names_are_named(bridge: Bridge) -> None:
    reply = await bridge("POST", "/v1/checkpoints", json={"download": "nothing", "accept_licence": True})
    assert reply.code == "checkpoint_unknown"


NAMES = [
    "../secret",
    "..",
    ".",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "C:x",
    "x:stream",
    "\\\\host\\x",
    "x\0",
    ".hidden",
    "none",
]


@pytest.mark.parametrize("name", NAMES)
def test_only_plain_names_leave_the_exchange_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "exchange"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "b").write_text("x")
    (folder / ".hidden").write_text("x")
    (tmp_path / "secret").write_text("x")
    with pytest.raises(InvalidRequest):
        exchanged(folder, name)


def test_links_do_not_lead_out_of_the_exchange_folder(tmp_path: Path) -> None:
    folder = tmp_path / "exchange"
    folder.mkdir()
    (tmp_path / "secret").write_text("x")
    try:
        (folder / "link").symlink_to(tmp_path / "secret")
    except OSError:
        pytest.skip("this system lets nobody make links")
    with pytest.raises(InvalidRequest):
        exchanged(folder, "link")
    (folder / "plain").write_text("x")
    assert exchanged(folder, "plain") == folder / "plain"
