"""How many photos an hour a studio makes, and which part gives first (`python -m benchmarks.studio.sizing`).

On paper. `capacities` is the formula: each part's photos a second, were it alone; the least is the most that
the whole can do. `simulate` sends photos through the same parts one by one, with varying sizes and
faces, to show how near the formula is. Seconds and bytes are those of `Costs`; put your own in.
"""

from __future__ import annotations

import argparse
import heapq
import random
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Costs:
    """What one photo of 24 megapixels costs.

    Attributes:
        cpu: seconds of one of the bridge's cores: decode, detect, blend, encode.
        faces: on average.
        gpu: seconds of one GPU for a face of 512 pixels, in passes of several.
        wire: seconds of the driver's one thread for a face: pipe, object store, answer.
        crop: bytes of a face, there and back.
        photo: bytes of a photo, there and back.
        store: seconds of the store for one photo, whose changes are about ten commits.
    """

    cpu: float = 4.0
    faces: float = 1.5
    gpu: float = 0.030
    wire: float = 0.012
    crop: float = 2 * 3.15e6
    photo: float = 2 * 12e6
    store: float = 10 / 4400


@dataclass(frozen=True)
class Studio:
    """What there is: machines, cores, and networks in bytes a second."""

    bridges: int = 1
    cores: int = 16
    gpus: int = 1
    clients_network: float = 1.25e8
    cluster_network: float = 1.25e9


def capacities(studio: Studio, costs: Costs) -> dict[str, float]:
    """Photos a second that each part could do alone; networks and cores are each bridge's own."""
    return {
        "cores of the bridge": studio.bridges * studio.cores / costs.cpu,
        "GPUs": studio.gpus / (costs.faces * costs.gpu),
        "clients' network": studio.bridges * studio.clients_network / costs.photo,
        "cluster's network": studio.bridges * studio.cluster_network / (costs.faces * costs.crop),
        "driver": studio.bridges / (costs.faces * costs.wire),
        "store": studio.bridges / costs.store,
    }


def simulate(studio: Studio, costs: Costs, photos: int = 4000, seed: int = 1) -> float:
    """Photos a second when that many are sent at once; each part serves who comes first."""
    draw = random.Random(seed)  # noqa: S311 - a fixed draw, not a secret
    parts = {
        "in": [0.0] * studio.bridges,
        "cpu": [0.0] * (studio.bridges * studio.cores),
        "wire": [0.0] * studio.bridges,
        "gpu": [0.0] * studio.gpus,
        "store": [0.0] * studio.bridges,
    }

    def served(part: str, ready: float, seconds: float) -> float:
        free = heapq.heappop(parts[part])
        end = max(free, ready) + seconds
        heapq.heappush(parts[part], end)
        return end

    # By the time at which each photo comes to its next part, so that nobody holds a place he is not at.
    line = [
        (0.0, number, 0, draw.uniform(0.5, 1.5), draw.choice((0, 1, 1, 1, 2, 4))) for number in range(photos)
    ]
    heapq.heapify(line)
    last = 0.0
    while line:
        now, number, step, size, faces = heapq.heappop(line)
        faces_cost = faces * costs.faces / 1.5
        if step == 0:
            now = served("in", now, size * costs.photo / studio.clients_network)
        elif step in (1, 4):
            now = served("cpu", now, size * costs.cpu / 2)
        elif step == 2:
            crossing = max(costs.wire, costs.crop / studio.cluster_network)
            now = served("wire", now, faces_cost * crossing)
        elif step == 3:
            now = served("gpu", now, faces_cost * costs.gpu)
        else:
            last = max(last, served("store", now, costs.store))
            continue
        heapq.heappush(line, (now, number, step + 1, size, faces))
    return photos / last


STUDIOS = {
    "one GPU server": Studio(),
    "the same, 32 cores": Studio(cores=32),
    "4 GPUs, 64 cores": Studio(cores=64, gpus=4, clients_network=1.25e9),
    "2 bridges, 8 GPUs": Studio(bridges=2, cores=64, gpus=8, clients_network=1.25e9),
    "3 bridges, 100 GPUs": Studio(bridges=3, cores=64, gpus=100, clients_network=1.25e9),
}


def main() -> None:
    """The table of docs/studio.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in vars(Costs()).items():
        parser.add_argument(f"--{name}", type=float, default=value)
    costs = replace(Costs(), **vars(parser.parse_args()))
    print("| studio | photos an hour, formula | simulated | a day of 24 hours | gives first | next |")
    print("|---|---|---|---|---|---|")
    for name, studio in STUDIOS.items():
        parts = sorted(capacities(studio, costs).items(), key=lambda part: part[1])
        rate, simulated = parts[0][1], simulate(studio, costs)
        next_part = f"{parts[1][0]} ({parts[1][1] * 3600:,.0f})"
        print(
            f"| {name} | {rate * 3600:,.0f} | {simulated * 3600:,.0f} | {rate * 86400:,.0f} |"
            f" {parts[0][0]} | {next_part} |"
        )


if __name__ == "__main__":
    main()
