"""What the libraries that travel with the bridge are licensed under, read from what is installed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = "gpen-enhance"
ALLOWED = re.compile(
    r"apache|\bmit\b|bsd|\bisc\b|psf|python software foundation|mozilla public|mpl-2|hpnd|unlicense|zlib",
    re.IGNORECASE,
)
"""Licences that let a studio use the product commercially, and let us name them beside our own."""
REFUSED = re.compile(r"\b[al]?gpl|gnu |sspl|proprietary|non-?commercial|commons clause|busl", re.IGNORECASE)
"""What must be looked at by a person, whatever else is stated beside it."""


@dataclass(frozen=True)
class Licensed:
    """One library, as installed here.

    Attributes:
        licence: as its authors state it: an SPDX expression, else their words; "" if they state none.
    """

    name: str
    version: str
    licence: str

    @property
    def allowed(self) -> bool:
        """Whether the licence is one of those that we know to fit."""
        return bool(ALLOWED.search(self.licence)) and not REFUSED.search(self.licence)


def licences() -> list[Licensed]:
    """All that the bridge needs, and what that needs, by name."""
    return sorted(
        (Licensed(one.name, one.version, _licence(one)) for one in _needed()),
        key=lambda one: one.name.lower(),
    )


def _needed() -> Iterator[Distribution]:
    waiting, seen = [PROJECT], {PROJECT}
    while waiting:
        try:
            found = distribution(waiting.pop())
        except PackageNotFoundError:
            continue  # for another system than this one
        if found.name != PROJECT:
            yield found
        for text in found.requires or ():
            needed = Requirement(text)
            name = canonicalize_name(needed.name)
            if name not in seen and (needed.marker is None or needed.marker.evaluate({"extra": ""})):
                seen.add(name)
                waiting.append(name)


def _licence(found: Distribution) -> str:
    stated = found.metadata.get("License-Expression")
    classified = [
        text.rpartition(" :: ")[2]
        for text in found.metadata.get_all("Classifier") or ()
        if text.startswith("License ::") and text.count("::") > 1
    ]
    free = (found.metadata.get("License") or "").strip().partition("\n")[0]
    return stated or ", ".join(classified) or free
