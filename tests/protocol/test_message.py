from __future__ import annotations

from types import ModuleType

import pytest
from pydantic import BaseModel

from bridge.errors import InvalidRequest
from bridge.protocol import enhancement, service
from bridge.protocol.enhancement import EnhanceRequest
from bridge.protocol.message import Answer, Question


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b'{"preset": "\\ud800"}', b"[" * 10000, b'{"preset": NaN}']
)
def test_what_is_not_json_is_named(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        EnhanceRequest.parse_json(data)


@pytest.mark.parametrize("module", [enhancement, service])
def test_every_model_is_frozen_and_has_a_docstring(module: ModuleType) -> None:
    models = [
        model
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == module.__name__
    ]
    assert len(models) > 5
    for model in models:
        assert model.model_config["frozen"]
        assert model.__doc__


def test_questions_are_strict_and_answers_patient() -> None:
    class Asked(Question):
        size: int

    class Told(Answer):
        size: int

    assert Told.model_validate({"size": 1, "new": 2}).size == 1
    with pytest.raises(InvalidRequest, match="new"):
        Asked.parse({"size": 1, "new": 2})
