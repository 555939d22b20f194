"""The messages about disk space: what the bridge may delete of its own, and what it deleted."""

from __future__ import annotations

from typing import Literal

from pydantic import StrictBool

from bridge.protocol.message import Answer, Question


class TidyRequest(Question):
    """`POST /v1/tidy`; a dry run changes nothing."""

    dry_run: StrictBool = True


class TidiedFile(Answer):
    """One file.

    Attributes:
        name: relative to the folder, with `/`.
        reason: an old result that was fetched or acknowledged, or a file that no job names.
    """

    folder: Literal["outputs", "uploads", "exchange"]
    name: str
    bytes: int
    reason: Literal["old_result", "unnamed_upload", "unnamed_exchange_file"]


class TidyReport(Answer):
    """What went, or would go.

    Attributes:
        output_bytes: what the results take that are there (before, in a dry run).
        free_bytes: free space on the disk of the output folder.
    """

    dry_run: bool
    files: tuple[TidiedFile, ...]
    bytes: int
    output_bytes: int
    max_output_bytes: int
    free_bytes: int
