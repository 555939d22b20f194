from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import InvalidRequest
from bridge.faces.face import Face
from bridge.presets import Mode, Output, Parameters
from bridge.protocol.enhancement import (
    MAX_RESULT_HEADER_BYTES,
    EnhanceRequest,
    EnhanceResult,
    FaceFound,
    FaceGiven,
    OutputRequest,
    ParameterChanges,
    ResultSummary,
)
from bridge.protocol.message import message

coordinates = st.floats(-1e4, 1e5, allow_nan=False)
faces = st.builds(
    lambda x, y, width, height, points, score, strength: Face(
        (x, y, x + width, y + height), np.array(points), score, strength
    ),
    coordinates,
    coordinates,
    st.floats(1, 5000),
    st.floats(1, 5000),
    st.lists(st.tuples(coordinates, coordinates), min_size=5, max_size=5),
    st.floats(0, 1),
    st.none() | st.integers(0, 100),
)


def a_result(warnings: tuple[str, ...] = ()) -> EnhanceResult:
    return EnhanceResult(
        width=10,
        height=10,
        preset="default",
        opacity=0.7,
        parameters=Parameters(),
        faces=(),
        seconds={"detect": 0.12345, "restore": 1.0},
        warnings=warnings,
    )


@given(faces)
def test_a_found_face_can_be_sent_back_as_it_came(face: Face) -> None:
    found = FaceFound.of(face, checkpoint="gpen-lite-256")
    given_back = FaceGiven.model_validate(message(found)).face()
    assert np.abs(given_back.landmarks - face.landmarks).max() <= 0.005001
    assert np.abs(np.subtract(given_back.box, face.box)).max() <= 0.005001
    assert given_back.strength == face.strength


def test_changes_cover_every_parameter_and_only_those() -> None:
    assert ParameterChanges.model_fields.keys() == Parameters.model_fields.keys()
    assert OutputRequest.model_fields.keys() == Output.model_fields.keys()


@given(st.builds(ParameterChanges))
def test_changes_go_onto_the_preset(changes: ParameterChanges) -> None:
    base = Parameters(strength=1, denoise=2, sharpen=3, mode=Mode.strong, select="largest", checkpoint="x")
    result = changes.onto(base)
    Parameters.model_validate(result.model_dump())  # still valid
    for name in Parameters.model_fields:
        asked = getattr(changes, name)
        assert getattr(result, name) == (getattr(base, name) if asked is None else asked)


def test_select_goes_above_params() -> None:
    request = EnhanceRequest.parse({"params": {"select": "all"}, "select": [0, 2]})
    assert request.parameters(Parameters()).select == (0, 2)


@pytest.mark.parametrize(
    "content",
    [
        {"unknown": 1},
        {"params": {"unknown": 1}},
        {"params": {"strength": -1}},
        {"params": {"strength": float("nan")}},
        {"params": {"mode": "Natural"}},
        {"select": [-1]},
        {"select": "some"},
        {"preset": "../x"},
        {"faces": [{"box": [0, 0, 1, float("inf")], "landmarks": [[0, 0]] * 5}]},
        {"output": {"quality": 0}},
        {"output": {"depth": 12}},
        [],
        None,
    ],
)
def test_wrong_requests_name_the_field(content: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        EnhanceRequest.parse(content)
    assert caught.value.detail


def test_a_summary_fits_its_header_and_comes_back() -> None:
    summary = ResultSummary.of(a_result(("Ein Hinweis über 照片.",)))
    assert ResultSummary.from_header(summary.header()) == summary
    assert summary.seconds["detect"] == 0.123


@settings(max_examples=30)
@given(st.lists(st.text(max_size=2000), max_size=30))
def test_warnings_that_do_not_fit_are_counted(warnings: list[str]) -> None:
    summary = ResultSummary.of(a_result(tuple(warnings)))
    header = summary.header()
    assert len(header) <= MAX_RESULT_HEADER_BYTES
    assert header.isascii()
    read = ResultSummary.from_header(header)
    assert len(read.warnings) + read.warnings_left_out == len(warnings)
    assert list(read.warnings) == warnings[: len(read.warnings)]
