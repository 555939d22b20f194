"""From rows to leases and promises, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.errors import BridgeError, DeviceOutOfMemory
from bridge.jobs.job import CRASHES_BEFORE_ALONE, Lease
from bridge.jobs.names import check_stored_name
from bridge.jobs.store import Row, of_rows
from bridge.presets import Parameters
from bridge.protocol.enhancement import EnhanceRequest, FaceFound
from bridge.protocol.jobs import ItemError, ItemResult, JobOutput, Source

WITH_JOB = (
    "items.*, jobs.client AS client, jobs.client_id AS client_id, jobs.created_at AS made_at,"
    " jobs.interactive AS interactive"
)
"""Columns of an item joined with its job, as `lease_of` reads them."""
_TEXTS = ("job", "ref", "source_name", "client", "client_id", "made_at")


@dataclass(frozen=True)
class Promise:
    """What will lie in the output folder once an item is published; stored before it does.

    Attributes:
        lease_id: names the file aside.
        replaces: the target may be overwritten: it is an older result of ours.
    """

    job: str
    item: int
    lease_id: str
    result: ItemResult
    faces: tuple[FaceFound, ...]
    seconds: Mapping[str, float]
    replaces: bool = False


@of_rows
def promise_of(row: Row) -> Promise:
    """What was promised under the row's lease.

    Raises:
        StoreUnavailable: the row is damaged.
    """
    kept = json.loads(row["promise"])
    for name in (kept["result"]["name"], row["lease_id"]):
        check_stored_name(name)
    return Promise(
        row["job"],
        row["item"],
        row["lease_id"],
        result=ItemResult.model_validate(kept["result"]),
        faces=tuple(FaceFound.model_validate(face) for face in kept["faces"]),
        seconds=kept["seconds"],
        replaces=kept["replaces"],
    )


@of_rows
def lease_of(row: Row, lease_id: str) -> Lease:
    """What a worker needs to know, from a row `WITH_JOB`.

    Raises:
        StoreUnavailable: the row is damaged.
    """
    if strange := [name for name in _TEXTS if not isinstance(row[name], str)]:
        raise TypeError(f"{strange[0]} is no text")
    given = json.loads(row["faces_given"]) if row["faces_given"] else {}
    output = JobOutput.model_validate_json(row["output"])
    question = EnhanceRequest.model_validate(
        {
            **given,
            "preset": row["preset"],
            "compose": row["compose"],
            "output": output.model_dump(include={"format", "depth", "quality"}),
        }
    )
    error: dict[str, Any] = json.loads(row["error"]) if row["error"] else {}
    return Lease(
        lease_id=lease_id,
        job=row["job"],
        item=row["item"],
        ref=row["ref"],
        source=Source.model_validate_json(row["source"]),
        source_name=row["source_name"],
        output=output,
        question=question,
        parameters=Parameters.model_validate_json(row["parameters"]),
        client=row["client"],
        client_id=row["client_id"],
        made_on=row["made_at"][:10],
        attempt=row["attempts"] + 1,
        crashes=row["crashes"],
        # Less company is what may help against a death, and against too little memory.
        alone=row["crashes"] >= CRASHES_BEFORE_ALONE
        or (row["attempts"] > 0 and error.get("code") == DeviceOutOfMemory.code),
        interactive=bool(row["interactive"]),
    )


def promise_text(promise: Promise) -> str:
    """A promise as it is stored."""
    return json.dumps(
        {
            "result": promise.result.model_dump(mode="json"),
            "faces": [face.model_dump(mode="json", exclude_none=True) for face in promise.faces],
            "seconds": dict(promise.seconds),
            "replaces": promise.replaces,
        }
    )


def error_text(error: BridgeError) -> str:
    """An error as it is stored with its item."""
    return ItemError(
        code=error.code,
        title=error.title,
        detail=error.detail,
        hint=error.hint,
        retryable=error.retryable,
    ).model_dump_json()
