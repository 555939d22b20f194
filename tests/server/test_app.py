"""The real parts behind the real protocol, with a very small network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import torch
from aiohttp import web

from bridge.checkpoints import Checkpoints
from bridge.client import Client
from bridge.config import Places, Settings, bundled
from bridge.imaging.codecs import Format, encode
from bridge.imaging.image import Image
from bridge.network.architecture import Architecture
from bridge.network.gpen import GPEN
from bridge.pipeline import enhance_file
from bridge.presets import BUILT_IN, Output
from bridge.protocol.enhancement import EnhanceRequest
from bridge.server import app as application
from bridge.server.parts import READINESS

TOKEN = "owner"


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[tuple[web.Application, str]]:
    """The application with `open_parts` itself, and its address."""
    torch.manual_seed(1)
    weights = tmp_path / "tiny.pth"
    torch.save(GPEN(Architecture((4,) * 3, style_dim=8, mlp_depth=1)).state_dict(), weights)
    places = Places(tmp_path / "bridge.json", tmp_path / "data")
    Checkpoints(bundled("weights"), places.weights).import_file(weights, accept_licence=True)
    settings = Settings(device="cpu", threads=1)
    app = application.build(settings, places, owner_token=TOKEN, open_parts=application.open_parts)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield app, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_every_road_gives_the_same_bytes(
    real: tuple[web.Application, str], portrait: np.ndarray[Any, Any]
) -> None:
    app, url = real
    data = encode(Image(np.ascontiguousarray(portrait[:256, 100:356])), Format.PNG).data
    async with Client(url, TOKEN) as client, aiohttp.ClientSession() as session:
        await app[READINESS].settled()
        assert (await client.health()).status == "ok"
        told = await client.capabilities()
        assert told.device
        assert "tiny" in {state.name for state in told.checkpoints if state.installed}
        in_frame = await client.enhance(data, EnhanceRequest())
        form = aiohttp.FormData()
        form.add_field("image", data, filename="a.png")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with session.post(f"{url}/v1/enhance", data=form, headers=headers) as response:
            in_multipart = await response.read()
    tools = app[READINESS].tools()
    direct = enhance_file(data, BUILT_IN["default"].parameters, Output(), tools, preset="default")
    assert in_frame.data == in_multipart == direct.data
    assert [face.checkpoint for face in in_frame.result.faces] == ["tiny"]
    assert direct.data != data
