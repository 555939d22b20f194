from __future__ import annotations

from pathlib import Path

from bridge.server.console import FOLDER, policy
from tests.server.conftest import Bridge


async def test_the_page_and_its_files_come_with_the_policy(bridge: Bridge) -> None:
    page = await bridge("GET", "/", token=None)
    assert page.status == 200
    assert page.headers["Content-Security-Policy"] == policy(f"127.0.0.1:{bridge.port}")
    assert b"<script>" not in page.body
    script = await bridge("GET", "/console/app/main.js", token=None)
    assert script.headers["Content-Type"].startswith("text/javascript")
    again = await bridge(
        "GET", "/console/app/main.js", token=None, headers={"If-None-Match": script.headers["ETag"]}
    )
    assert (again.status, again.body) == (304, b"")


async def test_nothing_else_is_reached(bridge: Bridge) -> None:
    for path in ("/console/app/none.js", "/console/..%2f/app.py", "/console/vendor/LICENSES.md"):
        assert (await bridge("GET", path, token=None)).status == 404, path


async def test_a_code_for_the_owner_makes_an_owner(bridge: Bridge) -> None:
    for asked, standing, status in (("owner", "owner", 200), ("client", "client", 403)):
        code = (await bridge("POST", f"/v1/pair/code?for={asked}", json={})).json["code"]
        body = {"code": code, "client": "console", "name": "Browser"}
        paired = (await bridge("POST", "/v1/pair", token=None, json=body)).json
        assert paired["standing"] == standing
        assert (await bridge("GET", "/v1/clients", token=paired["token"])).status == status
    assert (await bridge("POST", "/v1/pair/code?for=all", json={})).code == "invalid_request"


def test_the_wheel_carries_the_console() -> None:
    from hatchling.builders.wheel import WheelBuilder

    root = Path(__file__).parents[2]
    carried = {file.distribution_path for file in WheelBuilder(str(root)).recurse_included_files()}
    for path in FOLDER.rglob("*.*"):
        assert path.relative_to(root).as_posix() in carried
