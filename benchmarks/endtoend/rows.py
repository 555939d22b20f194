"""The rows: each measures one thing in a process of its own, as ratios of things done side by side.

Processor time is that of the whole process, user and system, all threads. A 512 network has random
weights, since the official ones may not be shipped: they cost the same.
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.demo import bridge
from benchmarks.endtoend.pictures import group, portrait
from benchmarks.memory import install_random_network
from bridge.checkpoints import Checkpoints
from bridge.client import Client
from bridge.config import bundled
from bridge.engine.device import choose
from bridge.engine.engine import Engine
from bridge.faces.detect import Detector
from bridge.imaging.codecs import Format, decode, encode
from bridge.imaging.image import FloatPixels, Image
from bridge.metrics import Stages
from bridge.pipeline import Tools, enhance, enhance_file
from bridge.presets import Output, Parameters
from bridge.protocol import frame as frames
from bridge.protocol.enhancement import EnhanceRequest
from bridge.protocol.message import message
from bridge.protocol.picture import IMAGE, pixels_payload

LITE = "gpen-lite-256"
ENGINE = "torch"
"""What a plain install has."""
ALONE: dict[str, Any] = {"denoise": 0, "sharpen": 0}
ROUNDS = 5
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Figure:
    """One measured figure, and its target if it has one.

    Attributes:
        what: in words.
        value: as measured.
        target: what it may be at most; None: it only tells how something grows.
        unit: s, ms, %, times or copies.
        detail: what else was measured, by name.
    """

    what: str
    value: float
    target: float | None
    unit: str
    detail: dict[str, float] = field(default_factory=dict)

    @property
    def met(self) -> bool:
        """Whether there is no target, or it is met."""
        return self.target is None or self.value <= self.target


class Metered:
    """An engine that counts the processor time of its passes, in seconds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.seconds = 0.0

    def restore(
        self,
        checkpoint: str,
        crops: FloatPixels,
        *,
        urgent: bool = True,
        cancelled: threading.Event | None = None,
    ) -> FloatPixels:
        """As `Engine.restore`."""
        before = time.process_time()
        try:
            return self._engine.restore(checkpoint, crops, urgent=urgent, cancelled=cancelled)
        finally:
            self.seconds += time.process_time() - before


class MeteredStages(Stages):
    """Stages that also count processor time."""

    def __init__(self) -> None:
        super().__init__()
        self.processor: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add what is spent inside to `name`."""
        before = time.process_time()
        with super().stage(name):
            yield
        self.processor[name] = self.processor.get(name, 0.0) + time.process_time() - before


@contextmanager
def tools_with(side: int) -> Iterator[tuple[Tools, Metered, str]]:
    """What the pipeline needs, warm; the engine's meter; the checkpoint's name."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if side == 256:
            library, checkpoint = Checkpoints(bundled("weights"), folder / "user"), LITE
        else:
            (folder / "manifest.toml").write_text("")
            checkpoint = install_random_network(side, folder)
            library = Checkpoints(folder, folder / "user")
        with Engine(lambda wanted: library.open(wanted, ENGINE), choose("cpu")) as engine:
            engine.warm_up(checkpoint)
            meter = Metered(engine)
            yield Tools(Detector(), meter, library), meter, checkpoint


def jpeg(side: int, rounds: int = ROUNDS) -> list[Figure]:
    """A 24-megapixel JPEG with one face, denoise and sharpen 0."""
    file = encode(portrait(24, 8), Format.JPEG).data
    rest, network, stages = [], [], []
    with tools_with(side) as (tools, meter, checkpoint):
        for _ in range(rounds + 1):
            meter.seconds, timed, before = 0.0, MeteredStages(), time.process_time()
            parameters = Parameters(checkpoint=checkpoint, **ALONE)
            done = enhance_file(file, parameters, Output(), tools, stages=timed)
            assert len(done.enhancement.faces) == 1
            network.append(meter.seconds)
            rest.append(time.process_time() - before - meter.seconds)
            timed.processor["restore"] -= meter.seconds
            stages.append(timed.processor)
    detail = {"network CPU s": statistics.median(network[1:]), "file MiB": len(file) / MEBIBYTE}
    for stage in stages[0]:
        detail[f"{stage} CPU s"] = statistics.median(times[stage] for times in stages[1:])
    others = statistics.median(rest[1:])
    title = f"24 MP JPEG, one face, {side} network, no filters"
    share = statistics.median(r / (r + n) for r, n in zip(rest[1:], network[1:], strict=True))
    if side == 256:
        whole = statistics.median(r + n for r, n in zip(rest[1:], network[1:], strict=True))
        return [Figure(f"{title}: all of it, CPU", whole, 1.5, "s", detail)]
    return [
        Figure(f"{title}: all but the network, CPU", others, 1.2, "s", detail),
        Figure(f"{title}: share of all but the network", 100 * share, 35, "%"),
    ]


def filters(rounds: int = ROUNDS) -> list[Figure]:
    """What the default preset's denoise and sharpen add to the same photo."""
    file = encode(portrait(24, 8), Format.JPEG).data
    spent: dict[str, list[float]] = {"with": [], "without": []}
    stages = []
    with tools_with(256) as (tools, _, checkpoint):
        for _ in range(rounds + 1):
            for form, given in (("without", ALONE), ("with", {})):
                timed, before = MeteredStages(), time.process_time()
                enhance_file(file, Parameters(checkpoint=checkpoint, **given), Output(), tools, stages=timed)
                spent[form].append(time.process_time() - before)
            stages.append(timed.processor)
    added = [more - less for more, less in zip(spent["with"][1:], spent["without"][1:], strict=True)]
    detail = {
        f"{stage} CPU s": statistics.median(times[stage] for times in stages[1:])
        for stage in ("denoise", "sharpen")
    }
    return [
        Figure("24 MP, what denoise 30 and sharpen 50 add, CPU", statistics.median(added), 3.5, "s", detail)
    ]


def deflate(rounds: int = ROUNDS) -> list[Figure]:
    """A 45-megapixel 16-bit TIFF, beside reading and writing it."""
    file = encode(portrait(45, 16), Format.TIFF).data
    wall, processor = [], []
    with tools_with(256) as (tools, _, checkpoint):

        def read_and_write() -> None:
            encode(decode(file, max_megapixels=250), Format.TIFF)

        def all_of_it() -> None:
            enhance_file(file, Parameters(checkpoint=checkpoint, **ALONE), Output(), tools)

        for _ in range(rounds):
            plain, whole = spent_by(read_and_write), spent_by(all_of_it)
            wall.append(whole[0] / plain[0])
            processor.append(whole[1] / plain[1])
    detail = {"the same by CPU time, times": statistics.median(processor), "file MiB": len(file) / MEBIBYTE}
    title = "45 MP 16-bit TIFF, one face, 256 network, no filters: to reading and writing it"
    return [Figure(title, statistics.median(wall), 2.5, "times", detail)]


def spent_by(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the wall clock and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def overhead(rounds: int = 4 * ROUNDS) -> list[Figure]:
    """/v1/enhance with a frame of 1,024 x 1,024 x 3 u16, beside the pipeline called directly."""
    image = portrait(2.4, 16)
    crop = Image(np.ascontiguousarray(image.pixels[150 : 150 + 1024, 300 : 300 + 1024]), None)
    question = EnhanceRequest.model_validate({"params": {"checkpoint": LITE}})
    payload = pixels_payload(IMAGE, crop.pixels)
    body = frames.encode_frame("request", message(question), [payload])
    os.environ["GPEN_ENGINE"] = ENGINE

    async def paired() -> list[tuple[float, float]]:
        with (
            tempfile.TemporaryDirectory() as home,
            bridge(Path(home)) as places,
            tools_with(256) as (tools, *_),
        ):
            async with Client.from_announcement(places) as client:
                while not (await client.ready()).ready:
                    await asyncio.sleep(0.1)
                pairs = []
                for _ in range(rounds):
                    began = time.perf_counter()
                    answer = await client.exchange("/v1/enhance", body)
                    between = time.perf_counter()
                    done = enhance(crop, Parameters(checkpoint=LITE), tools, with_mask=True)
                    pairs.append((between - began, time.perf_counter() - between))
                    assert bytes(answer.views[IMAGE]) == done.image.pixels.tobytes()
                return pairs[2:]

    pairs = asyncio.run(paired())
    more = statistics.median(request - direct for request, direct in pairs)
    direct = statistics.median(direct for _, direct in pairs)
    detail = {"pipeline alone ms": 1000 * direct}
    title = "/v1/enhance, frame of 1,024 px u16, default preset, 256 network"
    return [
        Figure(f"{title}: more than the pipeline", 1000 * more, 30, "ms", detail),
        Figure(f"{title}: the same as a share", 100 * more / direct, 5, "%"),
    ]


def memory() -> list[Figure]:
    """Peak memory of a 45-megapixel 16-bit TIFF with a 512 network and the default preset."""
    image = portrait(45, 16)
    decoded, file = image.pixels.nbytes, encode(image, Format.TIFF).data
    del image
    with tools_with(512) as (tools, _, checkpoint), watched() as grown:
        for _ in range(2):
            enhance_file(file, Parameters(checkpoint=checkpoint), Output(), tools)
    return [
        Figure(
            "45 MP 16-bit TIFF, 512 network, default preset: peak above the idle bridge",
            grown[0] / decoded,
            4,
            "copies",
            {"decoded MiB": decoded / MEBIBYTE},
        )
    ]


@contextmanager
def watched() -> Iterator[list[float]]:
    """The most resident memory inside beyond that before, in bytes, looked at every 2 ms."""
    ended, grown = threading.Event(), [0.0]
    before = resident()

    def look() -> None:
        while not ended.wait(0.002):
            grown[0] = max(grown[0], resident() - before)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield grown
    finally:
        ended.set()
        thread.join()


def resident() -> float:
    """Resident memory of this process in bytes: now on Linux, its peak elsewhere."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * float(os.sysconf("SC_PAGE_SIZE"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)


def crowd(rounds: int = ROUNDS) -> list[Figure]:
    """A hundred faces beside ten, in photos of the same size, in turns."""
    counts = (10, 100)
    times: dict[int, list[float]] = {people: [] for people in counts}
    most: dict[int, float] = dict.fromkeys(counts, 0.0)
    with tools_with(256) as (tools, _, checkpoint):
        images = {people: group(24, people) for people in counts}
        faces = {people: tools.detector.detect(image) for people, image in images.items()}
        parameters = Parameters(checkpoint=checkpoint, **ALONE)
        for people in counts * rounds:
            assert len(faces[people]) >= 0.9 * people
            choose("cpu").give_back_memory()  # what earlier photos left free would hide what this one takes
            with watched() as grown:
                stages = MeteredStages()
                enhance(images[people], parameters, tools, faces=faces[people], stages=stages)
            spent = stages.processor["restore"] + stages.processor["blend"]
            times[people].append(spent / len(faces[people]))
            most[people] = max(most[people], grown[0])
    each = {people: statistics.median(times[people]) for people in counts}
    detail = {f"{people} people, CPU s a face": seconds for people, seconds in each.items()}
    detail |= {f"{people} people, MiB above idle": most[people] / MEBIBYTE for people in most}
    decoded = images[10].pixels.nbytes
    return [
        Figure(
            "100 faces, 256 network: time a face, to that of 10", each[100] / each[10], 1.1, "times", detail
        ),
        Figure("100 faces: memory beyond that of 10", (most[100] - most[10]) / decoded, 1, "copies"),
    ]


ROWS: dict[str, Callable[[], list[Figure]]] = {
    "jpeg-512": partial(jpeg, 512),
    "jpeg-256": partial(jpeg, 256),
    "filters": filters,
    "deflate": deflate,
    "overhead": overhead,
    "memory": memory,
    "crowd": crowd,
}
"""By name."""
