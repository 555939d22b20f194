from __future__ import annotations

import re
import shutil
from pathlib import Path

from bridge.server.console import FOLDER, Assets, policy
from tests.server.conftest import Bridge, Reply


def base(page: Reply) -> str:
    """Where the files of this page lie."""
    found = re.search(rb'src="(/console/[0-9a-f]{16})/app/main.js"', page.body)
    assert found
    return found[1].decode()


async def test_the_page_and_its_files_come_with_the_policy(bridge: Bridge) -> None:
    page = await bridge("GET", "/", token=None)
    assert page.status == 200
    assert page.headers["Content-Security-Policy"] == policy(f"ws://127.0.0.1:{bridge.port}")
    assert b"<script>" not in page.body
    script = await bridge("GET", f"{base(page)}/app/main.js", token=None)
    assert script.headers["Content-Type"].startswith("text/javascript")
    assert script.headers["Content-Security-Policy"] == page.headers["Content-Security-Policy"]


async def test_files_are_kept_for_good_and_the_page_is_asked_for_again(bridge: Bridge) -> None:
    page = await bridge("GET", "/", token=None)
    assert page.headers["Cache-Control"] == "no-cache"
    again = await bridge("GET", "/", token=None, headers={"If-None-Match": page.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    script = await bridge("GET", f"{base(page)}/app/main.js", token=None)
    assert "immutable" in script.headers["Cache-Control"]


def test_any_change_of_any_file_gives_all_another_address(tmp_path: Path) -> None:
    copied = Path(shutil.copytree(FOLDER, tmp_path / "console"))
    versions = {Assets(copied).version}
    for path in (copied / "index.html", copied / "words" / "zh.js", copied / "style" / "sample.jpg"):
        path.write_bytes(path.read_bytes() + b" ")
        versions.add(Assets(copied).version)
    assert len(versions) == 4
    assert Assets(FOLDER).version == Assets(FOLDER).version


def test_the_page_names_every_module_once() -> None:
    page = Assets(FOLDER).page.decode()
    for path in FOLDER.glob("*/*.js"):
        assert page.count(f"/{path.parent.name}/{path.name}") == 1, path.name


async def test_nothing_else_is_reached(bridge: Bridge) -> None:
    files = base(await bridge("GET", "/", token=None))
    for path in (
        *(f"{files}/app/none.js", f"{files}/..%2f/app.py", f"{files}/vendor/LICENSES.md"),
        "/console/0000/app/main.js",
    ):
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
