"""Ask a bridge all that openapi.json allows, and much that it does not: `python -m benchmarks.contract`.

A question that the document allows is answered, or refused for a reason that no schema can state; another
is refused; the answer's status, type and form are those that the document names; nothing is its own fault.
The long form of tests/security/test_contract.py: more questions (`--examples`), new ones (`--seed`). Prints
how many were asked and what was not kept; exits with 1 if anything was not.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.config import SchemathesisConfig

from bridge.imaging.codecs import Format, encode
from bridge.imaging.image import Image
from bridge.server.app import ROUTES
from bridge.server.openapi import document

REFUSALS = (400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 503)
"""413 among them: what is too large is refused before anyone looks at it."""
UNSTATED = {
    "/v1/health": "that a secret and a nonce come together",
    "/v1/enhance": "that bytes are a picture",
    "/v1/faces": "that bytes are a picture",
    "/v1/uploads": "that as many bytes come as were announced",
    "/v1/uploads/{upload}": "likewise",
    "/v1/jobs": "that a box's first corner lies before its second, and that no `ref` comes twice",
    "/v1/jobs/{job}/items": "likewise",
    "/v1/presets/{name}": "that letters of any script may stand in a name, and few signs",
    "/v1/jobs/{job}/items/{item}/review": "likewise, of the preset",
    "/v1/jobs/{job}/retry": "likewise",
    "/v1/jobs/{job}/items/{item}/retry": "likewise",
    "/v1/checkpoints": "that the file lies in the exchange folder",
    "/v1/events": "that it is a WebSocket's upgrade; tests/security/test_sockets.py",
}
"""What no schema can say: here a question may be refused that the document allows."""
ANSWERED = ("not_a_server_error", "status_code_conformance", "content_type_conformance")
FORMED = ("response_headers_conformance", "response_schema_conformance")


class Asker:
    """Asks a bridge, of each operation in turn.

    Args:
        url, token: of the bridge, and its owner's.
        photo: a small picture.
        drawn: seed of the questions; None: the same ones each time.
    """

    def __init__(self, url: str, token: str, photo: bytes, *, drawn: int | None = None) -> None:
        load_all_checks()
        config = {"checks": {"negative_data_rejection": {"expected-statuses": list(REFUSALS)}}}
        self._schema = schemathesis.openapi.from_dict(
            document(ROUTES), config=SchemathesisConfig.from_dict(config)
        )
        self._schema.config.base_url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._url, self._photo, self._drawn = url, photo, drawn
        self.asked = 0
        self.broken: list[str] = []

    def ask_all(self, examples: int) -> None:
        """`examples` questions of each kind: allowed ones about what is there and what is not, and others."""
        there = self._furnish()
        for found in self._schema.get_all_operations():
            operation = found.ok()  # type: ignore[union-attr]  # an invalid schema ends the run, as it should
            names = [parameter.name for parameter in operation.path_parameters]
            real = {name: there[name] for name in names}
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                allowed = mode is GenerationMode.POSITIVE
                for known in [real, None] if names and allowed else [real]:
                    cases = operation.as_strategy(mode, path_parameters=known)
                    try:
                        self._ask(cases, _checks(operation.path, allowed=allowed), examples, allowed)
                    except Unsatisfiable:
                        pass  # nothing can be wrong where nothing is asked
                    except (AssertionError, BaseExceptionGroup) as error:
                        self.broken.append(f"{operation.label}: {error}")

    def _ask(self, cases: Any, checks: list[Any], examples: int, allowed: bool) -> None:
        @settings(
            max_examples=examples,
            phases=[Phase.generate],
            derandomize=self._drawn is None,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases)
        def ask(case: Any) -> None:
            if not allowed and _came_out_allowed(case):
                return
            self.asked += 1
            case.call_and_validate(headers=self._headers, checks=checks, timeout=20)

        (ask if self._drawn is None else seed(self._drawn)(ask))()

    def _furnish(self) -> dict[str, str]:
        """A name for each parameter of a path, of something that is there."""
        code = self._tell("POST", "/v1/pair/code")["code"]
        client = self._tell("POST", "/v1/pair", json={"code": code, "client": "test", "name": "Asked"})
        kind = {"Content-Type": "application/octet-stream"}
        whole = self._tell("POST", "/v1/uploads", data=self._photo, headers=kind)["upload"]
        begun = self._tell("POST", "/v1/uploads", headers={**kind, "Upload-Length": "100"})["upload"]
        self._tell("PUT", "/v1/presets/mine", json={"parameters": {}})
        items = [{"ref": "a", "source": {"upload": whole}}]
        job = self._tell("POST", "/v1/jobs", json={"items": items})["job"]
        while self._tell("GET", f"/v1/jobs/{job}")["state"] != "finished":
            time.sleep(0.01)
        page = requests.get(self._url, timeout=20).text
        version = page.partition("/console/")[2].partition("/")[0]
        return {
            "job": job,
            "item": "0",
            "upload": begun,
            "client_id": client["client_id"],
            "name": "mine",
            "request_id": "0" * 32,
            "version": version,
            "folder": "app",
            "file": "main.js",
            "node": "none",  # only a studio's bridge has workers
        }

    def _tell(self, method: str, path: str, headers: dict[str, str] | None = None, **body: Any) -> Any:
        sent = {**self._headers, **(headers or {})}
        answered = requests.request(method, self._url + path, headers=sent, timeout=20, **body)
        answered.raise_for_status()
        return answered.json()


def _came_out_allowed(case: Any) -> bool:
    """Whether a question meant to be wrong may be right as it is sent.

    An empty list is sent as no part, or no parameter, at all; and null is meant to be wrong also where
    a field may be null.
    """
    parts = case.body if case.media_type == "multipart/form-data" else None
    request = parts.get("request", {}) if isinstance(parts, dict) else {}
    nothing = request == [] or any(value == [] for value in (case.query or {}).values())
    return nothing or (isinstance(request, dict) and None in request.values())


def _checks(path: str, *, allowed: bool) -> list[Any]:
    names = [*ANSWERED, *FORMED]
    if not allowed:
        names.append("negative_data_rejection")
    elif path not in UNSTATED:
        names.append("positive_data_acceptance")
    return list(CHECKS.get_by_names(names))


def main() -> None:
    """Start a bridge with fake parts, ask it, say what came of it."""
    from tests.console.conftest import Served

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=50, help="questions of each kind, for each operation")
    parser.add_argument("--seed", type=int, default=0, help="another one asks other questions")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        bridge = Served(Path(home))
        bridge.start()
        began = time.monotonic()
        try:
            token = json.loads((Path(home) / "bridge.json").read_text())["token"]
            pixels = np.random.default_rng(7).integers(60, 190, (80, 96, 3)).astype(np.uint8)
            photo = encode(Image(pixels), Format.PNG).data
            asker = Asker(bridge.url, token, photo, drawn=asked.seed)
            asker.ask_all(asked.examples)
        finally:
            bridge.stop()
    for broken in asker.broken:
        print(broken, file=sys.stderr)
    figures = {"questions": asker.asked, "not_kept": len(asker.broken)}
    print(json.dumps({**figures, "seconds": round(time.monotonic() - began, 1)}))
    sys.exit(bool(asker.broken))


if __name__ == "__main__":
    main()
