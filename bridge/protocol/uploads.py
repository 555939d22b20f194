"""The messages about uploads: a picture that goes to the bridge before a job names it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bridge.protocol.message import Answer

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""Lower-case hexadecimal."""


class UploadState(Answer):
    """How much of an upload has come.

    Attributes:
        upload: its id, which `source.upload` of a job's item names.
        name: the file's name, as the client told it.
        offset: bytes that are safely on disk; a resume goes on from here.
        size: bytes expected; absent while a body without a declared length is read.
        complete: all of it is there; only then may a job name it.
        sha256: of the whole file, when complete.
    """

    upload: str
    name: str
    offset: int
    size: int | None = None
    complete: bool
    sha256: Sha256 | None = None
