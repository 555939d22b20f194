from __future__ import annotations

import pytest
import torch

from bridge.network.form import TensorForm


@pytest.mark.parametrize(
    ("form", "seen", "picture"),
    [
        (TensorForm(), [-1.0, 0.0, 1.0], [-0.5, 0.25, 1.5]),
        (TensorForm(input="unit"), [0.0, 0.5, 1.0], [-2.0, -0.5, 2.0]),
        (TensorForm(output="residual"), [-1.0, 0.0, 1.0], [-1.5, 0.25, 2.5]),
        (TensorForm(input="unit", output="residual"), [0.0, 0.5, 1.0], [-2.0, 0.5, 4.0]),
    ],
    ids=["GPEN-BFR", "GPEN-Seg2face", "GPEN-lite", "both"],
)
def test_networks_see_and_mean_what_they_were_trained_with(
    form: TensorForm, seen: list[float], picture: list[float]
) -> None:
    crops = torch.tensor([-1.0, 0.0, 1.0])
    answer = torch.tensor([-0.5, 0.25, 1.5])
    encoded = form.encode(crops)
    assert encoded.tolist() == seen
    assert form.decode(answer, encoded).tolist() == picture
    assert crops.tolist() == [-1.0, 0.0, 1.0]
    assert answer.tolist() == [-0.5, 0.25, 1.5]
