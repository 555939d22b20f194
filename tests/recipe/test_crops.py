from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from bridge.imaging.codecs import Format, encode
from bridge.imaging.image import Image
from weights.recipe import crops
from weights.recipe.crops import Crops, is_held_out, person_of


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    data = pytest.importorskip("skimage.data")
    return np.asarray(data.astronaut())


def test_a_persons_pictures_stay_on_one_side() -> None:
    names = [f"london/{number:03}-{mood}.jpg" for number in range(90) for mood in ("neutral", "smiling")]
    for neutral, smiling in zip(names[::2], names[1::2], strict=True):
        assert person_of(neutral) == person_of(smiling)
        assert is_held_out(neutral) == is_held_out(smiling)
    assert 4 <= sum(map(is_held_out, names)) <= 40


def test_elsewhere_every_picture_is_a_person() -> None:
    assert person_of("portraits/female-03.jpg") != person_of("portraits/female-04.jpg")


def test_parts_share_nothing_and_lose_nothing() -> None:
    names = tuple(f"set/{number}.jpg" for number in range(60))
    all_crops = Crops(np.arange(60, dtype=np.uint8).reshape(60, 1, 1, 1, 1), names)
    learnt, held_out = all_crops.part(held_out=False), all_crops.part(held_out=True)
    assert set(learnt.names) | set(held_out.names) == set(names)
    assert not set(learnt.names) & set(held_out.names)
    assert [names[value] for value in held_out.pixels.ravel()] == list(held_out.names)


def test_the_command_writes_what_load_reads(
    astronaut: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "face.png").write_bytes(encode(Image(astronaut), Format.PNG).data)
    (folder / "sky.png").write_bytes(encode(Image(np.full((300, 300, 3), 200, np.uint8)), Format.PNG).data)
    (folder / "broken.png").write_bytes(b"not a picture")
    output = tmp_path / "crops.npz"
    monkeypatch.setattr(
        sys, "argv", ["crops", str(folder), "-o", str(output), "--side", "64", "--variants", "2"]
    )
    crops.main()
    assert "1 faces" in capsys.readouterr().out
    found = crops.load(output)
    assert found.names == ("set/face.png",)
    assert found.pixels.shape == (1, 2, 64, 64, 3)
    difference = np.abs(found.pixels[0, 0].astype(int) - found.pixels[0, 1])
    assert 0 < difference.mean() < 25  # moved a little, still the same face
