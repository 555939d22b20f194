from __future__ import annotations

from typing import Any

import aiohttp
import numpy as np
import pytest

from bridge.faces.detect import Detector
from bridge.imaging.codecs import Format, encode
from bridge.imaging.image import Image
from bridge.protocol.enhancement import FacesResult
from tests.server.conftest import FRAME, Bridge, Samples, Start
from tests.server.fakes import FakeParts


async def test_both_body_kinds_say_the_same(bridge: Bridge, samples: Samples) -> None:
    as_json = FacesResult.model_validate((await bridge("POST", "/v1/faces", data=samples.form())).json)
    framed = await bridge("POST", "/v1/faces", headers=FRAME, data=samples.frame())
    in_frame = FacesResult.model_validate(framed.frame.header.message)
    assert as_json.faces == in_frame.faces
    assert (as_json.width, as_json.height) == (96, 80)
    (face,) = as_json.faces
    assert face.size == 40
    assert face.quality is not None
    assert as_json.suggested_preset == face.suggested_preset


@pytest.mark.parametrize("request_", [{"min_size": 41}, {"min_score": 0.95}])
async def test_limits_of_the_request_go_over_the_settings(
    bridge: Bridge, samples: Samples, request_: dict[str, Any]
) -> None:
    reply = await bridge("POST", "/v1/faces", data=samples.form(request_))
    assert reply.json["faces"] == []
    assert reply.json["suggested_preset"] == "default"


async def test_a_real_face_is_found_and_judged(start: Start, portrait: np.ndarray[Any, Any]) -> None:
    fakes = FakeParts(detector=Detector())  # type: ignore[arg-type]  # the real one, for once
    bridge = await start(fakes)
    await bridge.ready()
    data = encode(Image(portrait), Format.PNG).data
    form = aiohttp.FormData()
    form.add_field("image", data, filename="astronaut.png")
    (face,) = (await bridge("POST", "/v1/faces", data=form)).json["faces"]
    x0, y0, x1, y1 = face["box"]
    assert x0 < 220 < x1
    assert y0 < 120 < y1
    assert face["quality"]["grade"] in ("good", "soft")
