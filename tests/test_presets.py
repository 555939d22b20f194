from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.presets import BUILT_IN, Mode, Output, Parameters, Preset


def test_the_built_in_presets_are_those_of_the_contract() -> None:
    table = {
        name: (p.parameters.strength, p.parameters.denoise, p.parameters.sharpen, p.parameters.mode)
        for name, p in BUILT_IN.items()
    }
    assert table == {
        "default": (70, 30, 50, Mode.natural),
        "dslr": (60, 20, 45, Mode.natural),
        "phone": (75, 35, 60, Mode.detail),
        "old-photo": (90, 60, 70, Mode.strong),
    }
    assert all(preset.built_in for preset in BUILT_IN.values())


def test_plain_parameters_are_the_default_preset() -> None:
    assert Parameters() == BUILT_IN["default"].parameters


@given(st.integers().filter(lambda value: not 0 <= value <= 100))
def test_sliders_go_from_0_to_100(value: int) -> None:
    for slider in ("strength", "denoise", "sharpen"):
        with pytest.raises(ValidationError):
            Parameters.model_validate({slider: value})


def test_selection_is_all_the_largest_or_indices() -> None:
    assert Parameters.model_validate({"select": [2, 0]}).select == (2, 0)
    for wrong in ([-1], "some", [1.5]):
        with pytest.raises(ValidationError):
            Parameters.model_validate({"select": wrong})


@pytest.mark.parametrize("name", ["", " leading", "a/b", "..", "a\\b", "x" * 65, "new\nline", "a:b"])
def test_names_that_could_be_paths_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Preset(name=name, parameters=Parameters())


@pytest.mark.parametrize("name", ["Hochzeit Müller", "婚礼 2026", "Kids (soft)", "v1.2_b+c"])
def test_names_in_any_language_are_welcome(name: str) -> None:
    assert Preset(name=name, parameters=Parameters()).name == name


def test_unknown_fields_are_mistakes() -> None:
    with pytest.raises(ValidationError):
        Parameters.model_validate({"strenght": 50})
    with pytest.raises(ValidationError):
        Output.model_validate({"format": "gif"})


@pytest.mark.parametrize("value", [True, False, "50", 0.5, None])
@pytest.mark.parametrize("slider", ["strength", "denoise", "sharpen"])
def test_a_slider_takes_numbers_only(slider: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Parameters.model_validate({slider: value})
    assert Parameters.model_validate({slider: 50.0}).model_dump()[slider] == 50
