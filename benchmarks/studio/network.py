"""Nodes with a network of their own: a namespace each, on a cable to this machine that can be pulled.

Needs Linux, root and the command `ip`. A pulled cable drops packets and tells nobody, as in a rack; a process
that stands still, which `house` falls back to, keeps its connections.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

NAME = "gpen-st"
HERE = "198.18.77.1"
"""This machine's address on the cables' switch: of the range that is kept for benchmarks."""


@dataclass(frozen=True)
class Network:
    """A switch in this machine, with a cable to each node's namespace."""

    nodes: int
    here: str = HERE

    def address(self, number: int) -> str:
        """Of a node."""
        return f"198.18.77.{10 + number}"

    def inside(self, number: int) -> list[str]:
        """What to put before a command for it to run on a node."""
        return ["ip", "netns", "exec", f"{NAME}{number}"]

    def pull(self, *, plugged: bool = False) -> None:
        """Pull every node's cable, or plug it in again."""
        for number in range(self.nodes):
            _ip(f"link set {NAME}-v{number} {'up' if plugged else 'down'}")


@contextlib.contextmanager
def network(nodes: int) -> Iterator[Network | None]:
    """Lay the cables, and take them away afterwards; None where that is not allowed."""
    try:
        if os.geteuid() != 0:
            raise PermissionError
        _remove(nodes)
        _ip(f"link add {NAME} type bridge")
        _ip(f"addr add {HERE}/24 dev {NAME}")
        _ip(f"link set {NAME} up")
        made = Network(nodes)
        for number in range(nodes):
            space, cable = f"{NAME}{number}", f"{NAME}-v{number}"
            _ip(f"netns add {space}")
            _ip(f"link add {cable} type veth peer name eth0 netns {space}")
            _ip(f"link set {cable} master {NAME} up")
            _ip(f"-n {space} addr add {made.address(number)}/24 dev eth0")
            _ip(f"-n {space} link set eth0 up")
            _ip(f"-n {space} link set lo up")
    except (OSError, subprocess.CalledProcessError):
        _remove(nodes)
        yield None
        return
    try:
        yield made
    finally:
        _remove(nodes)


def _remove(nodes: int) -> None:
    with contextlib.suppress(OSError):
        cables = (f"link del {NAME}-v{number}" for number in range(nodes))
        spaces = (f"netns del {NAME}{number}" for number in range(nodes))
        for words in (*cables, *spaces, f"link del {NAME}"):
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip(words)


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, capture_output=True)  # noqa: S607 - on a Linux path
