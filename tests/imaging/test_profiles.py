from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import ProfileUnknown
from bridge.imaging import icc
from bridge.imaging.profiles import built_in, named_profile, system_folders


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("sRGB", "sRGB IEC61966-2.1"),
        ("sRGB IEC61966-2.1", "sRGB IEC61966-2.1"),
        (" adobe rgb (1998) ", "Adobe RGB (1998)"),
        ("AdobeRGB1998", "Adobe RGB (1998)"),
        ("Display P3", "Display P3"),
        ("PROPHOTO RGB", "ProPhoto RGB"),
        ("Gray Gamma 2.2", "Gray Gamma 2.2"),
    ],
)
def test_usual_names_need_no_file(asked: str, given: str) -> None:
    assert icc.description(named_profile(asked, folders=())) == given


def test_installed_profiles_are_found_by_description(tmp_path: Path) -> None:
    press = icc.gray_profile("Dot Gain 20%", icc.gamma(1.75))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "anything.ICM").write_bytes(press)
    (tmp_path / "broken.icc").write_bytes(b"garbage")
    (tmp_path / "Dot Gain 20%.txt").write_bytes(b"not a profile")
    assert named_profile("dot gain 20%", folders=[tmp_path / "absent", tmp_path]) == press


@pytest.mark.parametrize("name", ["", "Nobody's RGB", "../../etc/passwd"])
def test_other_names_are_unknown(name: str, tmp_path: Path) -> None:
    with pytest.raises(ProfileUnknown):
        named_profile(name, folders=[tmp_path])


def test_a_name_that_is_not_built_in(tmp_path: Path) -> None:
    with pytest.raises(ProfileUnknown):
        built_in("Nobody's RGB")


@pytest.mark.parametrize("platform", ["win32", "darwin", "linux"])
def test_every_system_has_folders(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", platform)
    assert all(folder.is_absolute() or platform == "win32" for folder in system_folders())
    assert system_folders()
