"""Where a job's photos are read from: uploads, the exchange folder, and roots that the owner allowed.

A client names a file relative to one of them; whatever would lead out is refused, before anything
is opened and again when it is read.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from bridge.errors import BridgeError, PathRefused, SourceMissing, SourceUnreadable
from bridge.imaging.codecs import inspect
from bridge.jobs.names import is_device
from bridge.jobs.uploads import Uploads
from bridge.protocol import frame
from bridge.protocol.frame import PREFIX, Frame, PixelsPayload, decode_frame, header_length, parse_header
from bridge.protocol.jobs import Source
from bridge.protocol.picture import ImageFile, check_picture, picture_of

_REFUSED = re.compile(r'[\x00-\x1f\\:<>"|?*]')
"""Control characters, other separators, drives and alternate data streams, and wildcards."""


class Sources:
    """Resolves and reads the sources of items.

    Args:
        roots: folders in which paths are looked up, the exchange folder first.
    """

    def __init__(self, roots: Sequence[Path], uploads: Uploads, max_megapixels: float) -> None:
        self._roots = tuple(roots)
        self._uploads = uploads
        self._max_megapixels = max_megapixels

    def name_of(self, source: Source) -> str:
        """The file name of a source that may be used.

        Raises:
            PathRefused: the path leads out of the folders.
            SourceMissing: there is no such file.
            UploadUnknown, UploadIncomplete: of an upload.
        """
        if source.upload is not None:
            return self._uploads.whole(source.upload).name
        return self._path(source).name

    def megapixels(self, source: Source) -> float:
        """Size of the picture in millions of pixels, from its header alone; 0 when it has none to tell.

        Raises:
            PathRefused, SourceMissing, SourceUnreadable: the file is not there or cannot be read.
        """
        path = self._path(source)
        try:
            with path.open("rb") as file:
                # Not closed by hand: an error below may still hold views of it; it goes with them.
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            if mapped[:4] != frame.MAGIC:
                return inspect(memoryview(mapped)).megapixels
            header = parse_header(mapped[PREFIX.size : PREFIX.size + header_length(mapped[: PREFIX.size])])
            pixels = [payload for payload in header.payloads if isinstance(payload, PixelsPayload)]
            return max((payload.width * payload.height for payload in pixels), default=0) / 1e6
        except OSError as error:
            raise SourceUnreadable(f"{path} cannot be read: {error.strerror or error}.") from error
        except (BridgeError, ValueError):
            return 0.0  # whatever is wrong with it is told, by name, when it is decoded

    def read(self, source: Source) -> Frame | ImageFile:
        """The picture of a source, not yet decoded.

        Raises:
            PathRefused, SourceMissing, SourceUnreadable: the file is not there or cannot be read.
            MalformedFrame, ProtocolMismatch, ImageTooLarge: it is a frame that cannot be used.
        """
        path = self._path(source)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise SourceUnreadable(f"{path} cannot be read: {error.strerror or error}.") from error
        if data[:4] != frame.MAGIC:
            return ImageFile(data, "application/octet-stream")
        found = decode_frame(data)
        check_picture(found.header, self._max_megapixels)
        if any(isinstance(payload, PixelsPayload) for payload in found.header.payloads):
            return found
        content = picture_of(found)  # a file in a frame is a file
        return content if isinstance(content, ImageFile) else found

    def _path(self, source: Source) -> Path:
        if source.upload is not None:
            path = self._uploads.path(source.upload)
            if not path.is_file():
                raise SourceMissing(f"The upload {source.upload} is no longer there.")
            return path
        return resolved(source.path or "", self._roots)


def check_relative(name: str) -> None:
    """Refuse what on any system is no plain way down from a folder: whatever this one is.

    Raises:
        PathRefused: absolute, a drive, a share, a stream, a device, or a step up.
    """
    if _REFUSED.search(name) or any(
        part in ("", ".", "..") or part != part.rstrip(" .") or is_device(part) for part in name.split("/")
    ):
        raise PathRefused(f"{name!r} is not a name relative to the exchange folder or an allowed root.")


def resolved(name: str, roots: Sequence[Path]) -> Path:
    """A file by its name relative to the first root that has it.

    Raises:
        PathRefused: absolute, or leading out of the root, by symbolic link too.
        SourceMissing: no root has it.
    """
    check_relative(name)
    for root in roots:
        candidate = root / PurePosixPath(name)
        try:
            real = candidate.resolve(strict=True)
            if not real.is_file():
                continue
        except (OSError, RuntimeError, ValueError):  # a loop of symbolic links; half of a surrogate pair
            continue
        if not real.is_relative_to(root.resolve()):
            raise PathRefused(f"{name} leads out of its folder.")
        return real
    raise SourceMissing(f"{name} is neither in the exchange folder nor in an allowed root.")
