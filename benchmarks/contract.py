"""Asks a bridge all that its openapi.json allows, and much that it does not: `python -m benchmarks.contract`.

The long form of tests/security/test_contract.py. Starts a bridge with a fake engine.
Every answer must be one that the contract describes, and none a failure of the bridge's own.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from bridge.server.app import ROUTES
from bridge.server.openapi import document
from bridge.server.problems import MEDIA_TYPE as PROBLEM

NOT_ASKED = {("GET", "/v1/events")}
"""Speaks WebSocket; tests/security/test_sockets.py has it."""
SELDOM = {("POST", "/v1/pair"), ("POST", "/v1/enhance"), ("POST", "/v1/faces")}
"""Asked a fifth as often: a code may be tried ten times a minute, a picture is work."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
HONEST = {503: "not_ready", 507: "disk_low"}
"""Failures that are no defect: the bridge says that it cannot now, and why."""


def contract() -> Any:
    """The contract as Schemathesis reads it."""
    return schemathesis.openapi.from_dict(document(ROUTES))


def attack(url: str, token: str, *, examples: int, chance: int) -> Counter[str]:
    """Ask each operation `examples` times rightly, and as often wrongly; outcomes by status.

    Args:
        chance: another one asks other questions; the same one the same.

    Raises:
        AssertionError: an answer that the contract does not describe, or a failure of the bridge's own.
    """
    told: Counter[str] = Counter()
    operations = [found.ok() for found in contract().get_all_operations()]
    for operation, mode in itertools.product(operations, GenerationMode):
        if (operation.method.upper(), operation.path) in NOT_ASKED:
            continue
        seldom = (operation.method.upper(), operation.path) in SELDOM

        @seed(chance)
        @settings(
            max_examples=max(2, examples // 5) if seldom else examples,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            headers = {"Authorization": f"Bearer {token}"}
            reply = case.call(base_url=url, headers=headers, timeout=30)
            told[f"{reply.status_code}"] += 1
            code = reply.json().get("code") if reply.headers.get("content-type", [""])[0] == PROBLEM else None
            assert code != "internal", (case.as_curl_command(), reply.text)
            if HONEST.get(reply.status_code) != code or code is None:
                case.validate_response(reply, checks=CHECKS)

        with contextlib.suppress(Unsatisfiable):  # where nothing can be asked wrongly
            ask()
    return told


class RunningBridge(NamedTuple):
    """A bridge with a fake engine, as a process of its own."""

    url: str
    token: str
    pid: int


@contextmanager
def bridge(seconds: float = 0.0) -> Iterator[RunningBridge]:
    """Runs for as long as the block; a restoration takes so many seconds."""
    with tempfile.TemporaryDirectory(prefix="gpen-fake-") as home:
        process = subprocess.Popen(  # noqa: S603 - our own module, by its own interpreter
            [sys.executable, "-m", "tests.server.standalone", "0", str(seconds)],
            env={**os.environ, "GPEN_HOME": home},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        # What it says of each pass is of no interest; a full pipe would stop it.
        reader = threading.Thread(target=process.stdout.read, daemon=True)
        reader.start()
        try:
            token = json.loads((Path(home) / "bridge.json").read_text())["token"]
            yield RunningBridge(url, token, process.pid)
        finally:
            process.terminate()
            process.wait(30)
            reader.join(5)
            process.stdout.close()


def main() -> None:
    """Ask, and tell the outcomes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=300, help="for each operation")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with bridge() as running:
        told = attack(running.url, running.token, examples=asked.examples, chance=asked.seed)
    print(json.dumps({"asked": told.total(), "by_status": dict(sorted(told.items()))}))


if __name__ == "__main__":
    main()
