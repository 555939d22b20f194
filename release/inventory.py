"""What a bridge is made of, under which licences: the SBOM and the report, from the installed packages.

Looks at what is installed here; what another system needs instead (CUDA's libraries, colorama) is in
`requirements/` but not in this. Fetches nothing.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import Distribution, distribution

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from license_expression import AND, OR, ExpressionError, LicenseWithExceptionSymbol, get_spdx_licensing
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bridge import __version__
from bridge.network.digest import file_sha256
from release.locks import EXTRAS, ROOT

PRODUCT = "gpen-enhance"
SPDX = get_spdx_licensing()
ALLOWED = frozenset(
    {
        *("MIT", "MIT-CMU", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "ISC", "Zlib", "BSL-1.0"),
        *("Apache-2.0", "LLVM-exception", "PSF-2.0", "Python-2.0", "CC0-1.0"),
        "MPL-2.0",  # asks only that changes to its own files are published; we make none
    }
)
"""Licences that let a studio use the product for paid work."""
IN_OTHER_WORDS = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd license": "BSD-3-Clause",
    "bsd-3": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
}
"""SPDX's names for what packages call their licences. "BSD License" alone could mean two clauses too:
jinja2, mpmath and sympy say no more, and their licence files have three."""
UNSET_EPOCH = 1580601600
"""2 February 2020: what hatchling dates a wheel that was given no SOURCE_DATE_EPOCH."""


@dataclass(frozen=True)
class Part:
    """One thing that a bridge is made of.

    Attributes:
        name: as its makers write it.
        version: as they number it.
        licence: an SPDX expression; empty when nothing says one that we know.
        kind: `pypi`, `npm`, or `generic` for what only we have.
        needs: names of the parts that it stands on.
        sha256: of the file, where the part is one file of this repository.
    """

    name: str
    version: str
    licence: str
    kind: str = "pypi"
    needs: tuple[str, ...] = ()
    sha256: str | None = None

    @property
    def allowed(self) -> bool:
        """Whether its licence lets a studio use it."""
        return bool(self.licence) and _allows(SPDX.parse(self.licence, validate=True))


def product() -> Part:
    """The bridge itself, which needs all the others."""
    return Part(PRODUCT, __version__, "Apache-2.0", needs=tuple(part.name for part in parts()))


def parts() -> list[Part]:
    """Every part, sorted by name.

    Raises:
        importlib.metadata.PackageNotFoundError: the environment is not complete.
    """
    found = [*_installed(), *_vendored(), *_weights()]
    return sorted(found, key=lambda part: (part.name.lower(), part.kind))


def sbom(root: Part, found: Sequence[Part]) -> str:
    """CycloneDX 1.6 as JSON; the same text for the same parts and the same SOURCE_DATE_EPOCH."""
    components = {part.name: _component(part) for part in found}
    bom = Bom(components=components.values())
    bom.metadata.component = whole = _component(root, ComponentType.APPLICATION)
    bom.metadata.timestamp = datetime.fromtimestamp(
        int(os.environ.get("SOURCE_DATE_EPOCH", UNSET_EPOCH)), UTC
    )
    listed = ";".join(f"{part.name}=={part.version}" for part in (root, *found))
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, listed)
    for part, component in ((root, whole), *((part, components[part.name]) for part in found)):
        bom.register_dependency(component, [components[name] for name in part.needs])
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)


def report(found: Sequence[Part]) -> str:
    """The licences as a table for people, in Markdown."""
    rows = [f"| {part.name} | {part.version} | {part.licence or 'unknown'} |" for part in found]
    return "\n".join(
        [
            f"# Licences of what GPEN Enhance {__version__} runs with",
            "",
            "By what each package says of itself, in SPDX's words. Libraries that a package carries inside",
            "are named by the licence files that it installs; opencv-python-headless brings FFmpeg, which is",
            "LGPL-2.1 and stays a library of its own beside it, and which the bridge never calls.",
            "",
            "| part | version | licence |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def licence_of(package: Distribution) -> str:
    """What a package says its licence is, as an SPDX expression; empty when that is not clear."""
    said = package.metadata
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in said.get_all("Classifier") or []
        if line.startswith("License ::")
    ]
    told = [said[field] for field in ("License-Expression", "License") if field in said]
    for words in (*told, " AND ".join(classifiers)):
        if words and (expression := _spdx(words)):
            return expression
    return ""


def _spdx(words: str) -> str:
    try:
        return str(SPDX.parse(IN_OTHER_WORDS.get(words.strip().lower(), words), validate=True, strict=True))
    except ExpressionError:
        return ""


def _allows(expression: object) -> bool:
    if isinstance(expression, OR):
        return any(map(_allows, expression.args))
    if isinstance(expression, AND):
        return all(map(_allows, expression.args))
    if isinstance(expression, LicenseWithExceptionSymbol):
        return _allows(expression.license_symbol) and _allows(expression.exception_symbol)
    return str(expression) in ALLOWED


def _installed() -> Iterator[Part]:
    """The packages that pip brings for a bridge with its engines, without our tools."""
    waiting, seen = _needs(distribution(PRODUCT), frozenset(EXTRAS)), set[str]()
    while waiting:
        name, extras = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        package = distribution(name)
        needs = _needs(package, extras)
        waiting += needs
        yield Part(
            name, package.version, licence_of(package), needs=tuple(sorted({need for need, _ in needs}))
        )


def _needs(package: Distribution, extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    """Names and extras of what a package needs on this system."""
    asked = [Requirement(line) for line in package.requires or []]
    return [
        (canonicalize_name(need.name), frozenset(need.extras))
        for need in asked
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]


def _vendored() -> Iterator[Part]:
    """The modules that the console carries, from the table beside them."""
    folder = ROOT / "bridge" / "console" / "vendor"
    table = (folder / "LICENSES.md").read_text(encoding="utf-8")
    for row in re.finditer(r"^\| `(\S+)`.* \| (\w+) \| ([\d.]+) \| ([\w.-]+)", table, re.MULTILINE):
        first, name, version, licence = row.groups()
        yield Part(name, version, licence, kind="npm", sha256=file_sha256(folder / first))


def _weights() -> Iterator[Part]:
    """The checkpoints that are bundled; all of them are ours."""
    for path in sorted((ROOT / "weights").glob("*.safetensors")):
        yield Part(path.stem, __version__, "Apache-2.0", kind="generic", sha256=file_sha256(path))


def _component(part: Part, kind: ComponentType | None = None) -> Component:
    model = part.kind == "generic"
    return Component(
        name=part.name,
        version=part.version,
        type=kind or (ComponentType.MACHINE_LEARNING_MODEL if model else ComponentType.LIBRARY),
        bom_ref=f"{part.kind}:{part.name}",
        purl=None if model else PackageURL(part.kind, name=part.name, version=part.version),
        licenses=[LicenseFactory().make_from_string(part.licence)] if part.licence else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=part.sha256)] if part.sha256 else [],
    )
