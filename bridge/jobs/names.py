"""What a result is called: templates filled in, made safe for every file system, and numbered. Pure."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Mapping
from pathlib import PurePosixPath

from bridge.errors import InvalidRequest
from bridge.jobs.job import Lease
from bridge.protocol import frame

PLACEHOLDERS = frozenset({"stem", "preset", "date", "counter", "client"})
SUFFIXES = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/tiff": ".tif",
    "image/webp": ".webp",
    frame.MEDIA_TYPE: ".gpenframe",
}
MAX_PART_BYTES = 200
"""Of one name in UTF-8: every file system takes 255, and numbers and suffixes need room."""
MAX_DEPTH = 8

_REFUSED = re.compile(r'[<>:"|?*\\/\x00-\x1f\x7f]')
"""What Windows does not take in a name, or what would be another folder."""
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\..*)?", re.IGNORECASE)
"""Names of devices on Windows, with any extension."""


def check_template(template: str) -> None:
    """Refuse what cannot be filled in.

    Raises:
        InvalidRequest: an unknown placeholder, or a path that leaves the output folder.
    """
    try:
        fields = list(string.Formatter().parse(template))
    except ValueError as error:
        raise InvalidRequest(f"output.template: {error}.") from error
    for _, name, spec, conversion in fields:
        if name is not None and (name not in PLACEHOLDERS or spec or conversion):
            known = " ".join(f"{{{placeholder}}}" for placeholder in sorted(PLACEHOLDERS))
            raise InvalidRequest(f"output.template: {{{name}}} is not known; there are {known}.")
    parts = template.split("/")
    if "\\" in template or any(part.strip() in ("", ".", "..") for part in parts) or len(parts) > MAX_DEPTH:
        raise InvalidRequest(
            f"output.template: names relative to the output folder, at most {MAX_DEPTH} deep, separated by /."
        )


def result_name(lease: Lease, media_type: str) -> PurePosixPath:
    """The name of a result relative to the output folder, before clashes are looked at."""
    stem = PurePosixPath(lease.source_name).stem or "photo"
    values = {
        "stem": stem,
        "preset": lease.question.preset,
        "date": lease.made_on,
        "counter": f"{lease.item + 1:04d}",
        "client": lease.client,
    }
    plain = {name: _REFUSED.sub("_", value) for name, value in values.items()}
    filled = [safe(fitted(part, plain)) for part in lease.output.template.split("/")]
    filled[-1] += suffix_for(lease.source_name, media_type)
    return PurePosixPath(*filled)


def check_stored_name(name: str) -> None:
    """Refuse what we never stored as the name of a file: a way down from a folder of ours, or damage.

    Raises:
        ValueError: it is damage.
    """
    if any(part in ("", ".", "..") or _REFUSED.search(part) for part in name.split("/")):
        raise ValueError(f"{name!r} is the name of no file of ours")


def fitted(part: str, values: Mapping[str, str]) -> str:
    """One part of a template filled in; too long a stem is cut: what tells a result from its source stays.

    Args:
        values: what stands for each placeholder; `stem` always.
    """
    stem = values["stem"]
    while len(_utf8(text := part.format_map({**values, "stem": stem}))) > MAX_PART_BYTES:
        if not stem or "{stem}" not in part:
            break
        stem = stem[:-1]
    return text


def numbered(name: PurePosixPath, number: int) -> PurePosixPath:
    """`a.tif` as `a-2.tif`; as it is for number 1."""
    return name if number == 1 else name.with_name(f"{name.stem}-{number}{name.suffix}")


def suffix_for(source_name: str, media_type: str) -> str:
    """The extension of a result; the source's own spelling where it says the same."""
    suffix = SUFFIXES[media_type]
    own = PurePosixPath(source_name).suffix
    same = {".jpeg": ".jpg", ".tiff": ".tif"}.get(own.lower(), own.lower()) == suffix
    return own if same else suffix


def safe(name: str) -> str:
    """A name that Linux, macOS and Windows all take, and that hides nothing."""
    name = unicodedata.normalize("NFC", name)
    name = _REFUSED.sub("_", name).strip(" ").rstrip(". ").lstrip(".")
    while len(_utf8(name)) > MAX_PART_BYTES:
        name = name[:-1]
    name = name.encode("utf-8", "replace").decode().rstrip(". ")
    if not name:
        return "_"
    return f"_{name}" if is_device(name) else name


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def is_device(name: str) -> bool:
    """Whether Windows takes a name for a device, in whatever folder."""
    return _DEVICES.fullmatch(name) is not None
