"""A route, code or setting that the documentation does not mention does not exist for anyone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bridge.config import Settings
from bridge.errors import BridgeError, codes
from bridge.server.app import ROUTES
from bridge.server.route import Route

DOCS = Path(__file__).parents[2] / "docs"
PROTOCOL = (DOCS / "protocol.md").read_text(encoding="utf-8")
SETTINGS = (DOCS / "settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_in_the_table_with_its_access(route: Route) -> None:
    who = {"open": "anyone"}.get(route.access.value, route.access.value)
    assert re.search(rf"^\| `{route.method} {re.escape(route.path)}` \| {who} \|", PROTOCOL, re.MULTILINE)


def test_no_route_is_in_the_table_that_does_not_exist() -> None:
    told = set(re.findall(r"^\| `([A-Z]+) (/\S*)` \|", PROTOCOL, re.MULTILINE))
    assert told == {(route.method, route.path) for route in ROUTES}


@pytest.mark.parametrize(("code", "error"), codes().items())
def test_every_code_is_in_the_table_as_it_is(code: str, error: type[BridgeError]) -> None:
    retryable = "yes" if error.retryable else "no"
    assert f"| `{code}` | {error.status} | {retryable} | {error.title} |" in PROTOCOL


def test_no_code_is_in_the_table_that_does_not_exist() -> None:
    assert set(re.findall(r"^\| `([a-z_]+)` \| \d{3} \|", PROTOCOL, re.MULTILINE)) == codes().keys()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_table_with_its_default(name: str) -> None:
    default = Settings.model_fields[name].default
    assert f"| `{name}` | `GPEN_{name.upper()}` | `{_shown(default)}` |" in SETTINGS


def _shown(default: object) -> str:
    if isinstance(default, float | int) and not isinstance(default, bool):
        return f"{default:g}" if default < 1000 else str(default)
    return json.dumps(default)
