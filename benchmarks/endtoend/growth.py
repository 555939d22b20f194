"""How the cost grows: with pixels, with people, with the network, and what a batch gains over single photos.

No targets here: what can be compared across machines is the ratio, which each row gives first.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.demo import bridge
from benchmarks.endtoend.pictures import group, portrait
from benchmarks.endtoend.rows import ALONE, ENGINE, LITE, Figure, MeteredStages, spent_by, tools_with
from bridge.client import Client
from bridge.imaging.codecs import Format, decode, encode
from bridge.pipeline import enhance_file
from bridge.presets import Output, Parameters
from bridge.protocol.enhancement import ParameterChanges
from bridge.protocol.jobs import ItemRequest, JobRequest, JobStatus, Source

MEGAPIXELS = (2, 12, 24, 45, 100)
PEOPLE = (1, 5, 30)
SIDES = (256, 512, 1024)
PHOTOS = 12


def sizes(rounds: int = 2) -> list[Figure]:
    """One person in JPEGs of all sizes, the default preset: beside reading and writing the same file."""
    figures = []
    with tools_with(256) as (tools, _, checkpoint):
        for megapixels in MEGAPIXELS:
            file = encode(portrait(megapixels, 8), Format.JPEG).data
            plain, whole, stages = [], [], []
            for _ in range(rounds + 1):
                plain.append(spent_by(partial(_read_and_write, file))[1])
                timed, before = MeteredStages(), time.process_time()
                enhance_file(file, Parameters(checkpoint=checkpoint), Output(), tools, stages=timed)
                whole.append(time.process_time() - before)
                stages.append(timed.processor)
            detail = {"CPU s": statistics.median(whole[1:])}
            for stage in stages[0]:
                detail[f"{stage} CPU s"] = statistics.median(times[stage] for times in stages[1:])
            ratio = statistics.median(w / p for w, p in zip(whole[1:], plain[1:], strict=True))
            title = (
                f"{megapixels} MP JPEG, one face, 256 network, default preset: to reading and writing it, CPU"
            )
            figures.append(Figure(title, ratio, None, "times", detail))
    return figures


def people(rounds: int = 3) -> list[Figure]:
    """More and more faces in photos of one size, found and restored, without filters."""
    spent: dict[int, float] = {}
    details: dict[int, dict[str, float]] = {}
    with tools_with(256) as (tools, _, checkpoint):
        for count in PEOPLE:
            file = encode(group(24, count), Format.JPEG).data
            times = []
            for _ in range(rounds + 1):
                timed, before = MeteredStages(), time.process_time()
                parameters = Parameters(checkpoint=checkpoint, **ALONE)
                done = enhance_file(file, parameters, Output(), tools, stages=timed)
                times.append(time.process_time() - before)
            spent[count] = statistics.median(times[1:])
            details[count] = {"found": len(done.enhancement.faces), "CPU s": spent[count]}
            details[count] |= {f"{stage} CPU s": timed.processor[stage] for stage in ("detect", "restore")}
    title = "24 MP JPEG, {} faces, 256 network, no filters: to the same with one, CPU"
    return [
        Figure(title.format(count), spent[count] / spent[PEOPLE[0]], None, "times", details[count])
        for count in PEOPLE[1:]
    ]


def networks(rounds: int = 2) -> list[Figure]:
    """The same photo with larger networks: the network's share of all that is done."""
    file = encode(portrait(24, 8), Format.JPEG).data
    figures = []
    for side in SIDES:
        shares, seconds = [], []
        with tools_with(side) as (tools, meter, checkpoint):
            for _ in range(rounds + 1):
                meter.seconds, before = 0.0, time.process_time()
                enhance_file(file, Parameters(checkpoint=checkpoint), Output(), tools)
                seconds.append(time.process_time() - before)
                shares.append(meter.seconds / seconds[-1])
        title = f"24 MP JPEG, one face, {side} network, default preset: the network's share, CPU"
        detail = {"CPU s": statistics.median(seconds[1:])}
        figures.append(Figure(title, 100 * statistics.median(shares[1:]), None, "%", detail))
    return figures


def batch(rounds: int = 2) -> list[Figure]:
    """Photos sent to a bridge as one batch, beside the same photos one after the other."""
    file = encode(portrait(24, 8), Format.JPEG).data
    os.environ["GPEN_ENGINE"] = ENGINE

    async def together(places_home: Path) -> list[float]:
        with bridge(places_home) as places:
            (places.exchange / "photo.jpg").write_bytes(file)
            items = tuple(
                ItemRequest(ref=str(number), source=Source(path="photo.jpg")) for number in range(PHOTOS)
            )
            taken = []
            async with Client.from_announcement(places) as client:
                while not (await client.ready()).ready:
                    await asyncio.sleep(0.1)
                for _ in range(rounds):
                    request = JobRequest(params=ParameterChanges(checkpoint=LITE), items=items)
                    began = time.perf_counter()
                    job = (await client.submit(request)).job
                    while (told := await client.job(job)).state is not JobStatus.finished:
                        await asyncio.sleep(0.05)
                    assert told.counts.done == PHOTOS, told
                    taken.append(time.perf_counter() - began)
            return taken

    with tempfile.TemporaryDirectory() as home:
        at_once = statistics.median(asyncio.run(together(Path(home))))
    with tools_with(256) as (tools, _, checkpoint):
        single = [
            spent_by(lambda: enhance_file(file, Parameters(checkpoint=checkpoint), Output(), tools))[0]
            for _ in range(1 + PHOTOS // 3)
        ]
    one_by_one = PHOTOS * statistics.median(single[1:])
    title = f"{PHOTOS} JPEGs of 24 MP, 256 network, default preset: one by one, to the same as a batch"
    detail = {"photos an hour as a batch": 3600 * PHOTOS / at_once, "one by one": 3600 * PHOTOS / one_by_one}
    return [Figure(title, one_by_one / at_once, None, "times", detail)]


def _read_and_write(file: bytes) -> None:
    encode(decode(file, max_megapixels=250), Format.JPEG)


ROWS: dict[str, Callable[[], list[Figure]]] = {
    "sizes": sizes,
    "people": people,
    "networks": networks,
    "batch": batch,
}
"""By name."""
