from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bridge.cli.batch import targets
from bridge.cli.enhance import expanded, left_out
from bridge.imaging.codecs import decode
from tests.cli.conftest import Type

ROOT = Path(__file__).parents[2]


def test_a_folder_with_a_bad_file(type_: Type, installed: None, photos: Path) -> None:
    (photos / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    before = {path: path.read_bytes() for path in photos.iterdir()}
    said = type_("enhance", photos, "--json", "--preset", "phone")
    assert said.status == 1
    told = said.json
    assert {name: told[name] for name in ("total", "success", "failed")} == {
        "total": 3,
        "success": 2,
        "failed": 1,
    }
    anna, sky, torn = told["items"]
    assert (Path(anna["output"]).name, anna["found"], anna["restored"]) == ("anna-GPEN.png", 1, 1)
    assert (Path(sky["output"]).name, sky["found"]) == ("sky-GPEN.JPEG", 0)
    assert torn["error"]["code"].startswith("image_")
    assert {path: path.read_bytes() for path in before} == before
    enhanced = decode(Path(anna["output"]).read_bytes(), max_megapixels=1).pixels
    assert (enhanced != decode(before[photos / "anna.png"], max_megapixels=1).pixels).any()

    again = type_("enhance", photos / "anna.png", photos / "torn.jpg")
    assert again.status == 1
    assert "anna-GPEN-2.png" in again.out
    assert "torn.jpg" in again.out
    assert "total 2, success 1, failed 1" in again.out


def test_into_another_folder_format_and_depth(
    type_: Type, installed: None, photos: Path, tmp_path: Path
) -> None:
    said = type_(
        *("enhance", photos / "anna.png", "-o", tmp_path / "new" / "out"),
        *("--format", "tiff", "--depth", "16", "--json"),
    )
    assert said.status == 0, said
    output = tmp_path / "new" / "out" / "anna-GPEN.tif"
    assert said.json["items"][0]["output"] == str(output)
    assert decode(output.read_bytes(), max_megapixels=1).pixels.dtype == np.uint16
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_sliders_at_zero_change_nothing(type_: Type, installed: None, photos: Path) -> None:
    zero = ("--strength", "0", "--denoise", "0", "--sharpen", "0")
    output = type_("enhance", photos / "anna.png", *zero, "--json").json["items"][0]["output"]
    original = decode((photos / "anna.png").read_bytes(), max_megapixels=1).pixels
    np.testing.assert_array_equal(decode(Path(output).read_bytes(), max_megapixels=1).pixels, original)


@pytest.mark.parametrize(
    "words",
    [
        ("no-such-file.png",),
        ("PHOTO", "--mode", "gentle"),
        ("PHOTO", "--strength", "101"),
        ("PHOTO", "--select", "1;2"),
        ("PHOTO", "--depth", "12"),
        ("PHOTO", "--format", "gif"),
        ("PHOTO", "--preset", "../x"),
        ("PHOTO", "-o", "PHOTO"),
        (),
    ],
)
def test_wrong_use_is_status_2(type_: Type, photos: Path, words: tuple[str, ...]) -> None:
    said = type_("enhance", *(photos / "anna.png" if word == "PHOTO" else word for word in words))
    assert said.status == 2
    assert not list(photos.glob("anna-GPEN*"))


def test_without_a_checkpoint_it_says_what_to_do(
    type_: Type, photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "manifest.toml").write_bytes((ROOT / "weights" / "manifest.toml").read_bytes())
    monkeypatch.setattr("bridge.server.app.bundled", lambda _: bare)
    said = type_("enhance", photos / "anna.png", "--json")
    assert (said.status, said.json["error"]["code"]) == (1, "checkpoint_not_installed")
    assert said.json["error"]["hint"]


def test_an_unknown_preset_is_refused_before_any_work(type_: Type, installed: None, photos: Path) -> None:
    said = type_("enhance", photos / "anna.png", "--preset", "nobody", "--json")
    assert (said.status, said.json["error"]["code"]) == (1, "preset_unknown")


def test_a_face_that_is_not_there_says_how_to_see_which_are(
    type_: Type, installed: None, photos: Path
) -> None:
    said = type_("enhance", photos / "anna.png", "--select", "7", "--json")
    assert said.status == 1
    assert "gpen-bridge faces" in said.json["items"][0]["error"]["hint"]


def test_a_running_bridge_does_the_work(type_: Type, home: Path, photos: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.server.standalone", "0", "0"],
        cwd=ROOT,
        env={**os.environ, "GPEN_HOME": str(home)},
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            said = type_("enhance", photos / "sky.JPEG", "--json")
            found = type_("faces", photos / "sky.JPEG", "--json")
        finally:
            process.terminate()
    # The fake finds a face in any sky; nobody else would.
    assert said.json["items"][0]["restored"] == 1
    assert len(found.json["faces"]) == 1


def test_folders_give_their_pictures_and_files_are_taken_at_their_word(photos: Path) -> None:
    assert [path.name for path in expanded([photos])] == ["anna.png", "sky.JPEG"]
    chosen = [photos / "older-GPEN.png", photos / "older-GPEN.png", photos / "notes.txt"]
    assert expanded(chosen) == chosen[1:]


def test_results_that_a_shell_names_beside_their_originals_are_left_out(
    type_: Type, installed: None, photos: Path, tmp_path: Path
) -> None:
    for name in ("anna-GPEN.png", "anna-GPEN-2.tif", "-GPEN.png"):
        (photos / name).write_bytes((photos / "anna.png").read_bytes())
    named = sorted(path for path in photos.iterdir() if path.name[0] != "." and path.suffix != ".txt")
    meant = ["-GPEN.png", "anna.png", "older-GPEN.png", "sky.JPEG"]
    assert [path.name for path in expanded(named)] == meant
    assert expanded([photos / "anna-GPEN.png"]) == [photos / "anna-GPEN.png"]
    said = type_("enhance", photos / "anna-GPEN.png", photos / "anna.png", "-o", tmp_path / "out")
    assert "1 result of pictures that are named too" in said.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["anna-GPEN.png"]


def test_files_of_a_folder_that_are_left_out_are_told(
    type_: Type, installed: None, photos: Path, tmp_path: Path
) -> None:
    for path in photos.glob("notes.txt"):
        path.unlink()
    assert left_out([photos, photos / "anna.png"]) == []
    for name in ("IMG_1.CR2", "IMG_2.cr2", "IMG_3.heic", ".hidden"):
        (photos / name).write_bytes(b"raw")
    said = type_("enhance", photos, "-o", tmp_path / "out")
    assert said.status == 0
    assert "3 files (.cr2, .heic)" in said.err
    assert "anna-GPEN.png  (1 of 1 face)" in said.out
    assert "sky-GPEN.JPEG  (no face found)" in said.out


@pytest.mark.parametrize(
    ("name", "media_type", "result"),
    [
        ("a.JPG", "image/jpeg", "a-GPEN.JPG"),
        ("a.jpeg", "image/jpeg", "a-GPEN.jpeg"),
        ("a.tiff", "image/tiff", "a-GPEN.tiff"),
        ("a.jpg", "image/tiff", "a-GPEN.tif"),
        ("a.b.png", "image/webp", "a.b-GPEN.webp"),
        ("noend", "image/png", "noend-GPEN.png"),
    ],
)
def test_results_are_named_after_the_original(
    tmp_path: Path, name: str, media_type: str, result: str
) -> None:
    names = targets(tmp_path / name, tmp_path, media_type)
    assert next(names) == tmp_path / result
    second = next(names).name
    stem, _, suffix = result.rpartition(".")
    assert second == f"{stem}-2.{suffix}"


def test_a_folder_without_pictures_is_said_and_no_success(type_: Type, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no picture")
    said = type_("enhance", tmp_path / "empty", "--json")
    assert (said.status, said.json["error"]["code"]) == (1, "nothing_to_do")
    assert str(tmp_path / "empty") in said.json["error"]["detail"]
    assert "There is no picture" in type_("enhance", tmp_path / "empty").err
