from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import CheckpointForeign
from bridge.network.architecture import Architecture
from bridge.network.gpen import GPEN

architectures = st.builds(
    Architecture,
    st.lists(st.integers(1, 6), min_size=3, max_size=5).map(tuple),
    style_dim=st.integers(1, 5),
    mlp_depth=st.integers(1, 4),
)


@given(architectures)
@settings(max_examples=25)
def test_any_architecture_is_deduced_from_the_shapes_of_its_own_state_dict(
    architecture: Architecture,
) -> None:
    shapes = {key: tuple(value.shape) for key, value in GPEN(architecture).state_dict().items()}
    assert Architecture.deduced(shapes) == architecture


@pytest.mark.parametrize(
    ("size", "multiplier", "narrow", "widths"),
    [
        (256, 1, 0.5, (256, 256, 256, 256, 128, 64, 32)),
        (512, 2, 1, (512, 512, 512, 512, 512, 256, 128, 64)),
        (1024, 2, 1, (512, 512, 512, 512, 512, 256, 128, 64, 32)),
        (2048, 2, 1, (512, 512, 512, 512, 512, 256, 128, 64, 32, 16)),
        (128, 1, 0.33, (168, 168, 168, 168, 84, 42)),
    ],
)
def test_multipliers_give_the_published_widths_and_come_back(
    size: int, multiplier: float, narrow: float, widths: tuple[int, ...]
) -> None:
    architecture = Architecture.from_multipliers(size, multiplier, narrow)
    assert architecture.channels == widths
    assert architecture.size == size
    assert [architecture.width(r) for r in architecture.resolutions] == list(widths)
    assert architecture.multipliers is not None
    assert Architecture.from_multipliers(size, *architecture.multipliers) == architecture


def test_free_widths_have_no_multipliers() -> None:
    assert Architecture((64, 48, 32, 32, 16)).multipliers is None


@pytest.mark.parametrize(
    "channels",
    [(8, 8), (8, 0, 8), (8, 8, 5000), (8,) * 12, ()],
    ids=["small", "zero", "wide", "large", "none"],
)
def test_impossible_widths_are_refused(channels: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="outside"):
        Architecture(channels)


@pytest.mark.parametrize("size", [0, 3, 48, -512])
def test_sizes_that_are_no_power_of_two_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Architecture.from_multipliers(size, 1, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"generator.style.1.weight": None},
        {"ecd0.0.0.weight": None},
        {"ecd2.0.1.weight": ()},
        {"ecd2.0.1.weight": (10**9, 8, 3, 3)},
        {f"ecd{i}.0.1.weight": (8, 8, 3, 3) for i in range(3, 40)},
    ],
    ids=["no mapping", "no encoder", "scalar", "huge", "deep"],
)
def test_shapes_of_something_else_are_foreign(change: dict[str, tuple[int, ...] | None]) -> None:
    shapes = {
        key: tuple(value.shape) for key, value in GPEN(Architecture((8, 8, 8), 4, 2)).state_dict().items()
    }
    for key, shape in change.items():
        shapes.pop(key, None)
        if shape is not None:
            shapes[key] = shape
    with pytest.raises(CheckpointForeign):
        Architecture.deduced(shapes)
