"""Both languages have the same words, and every error code has Chinese ones."""

from __future__ import annotations

import re
from pathlib import Path

from bridge.errors import codes

CONSOLE = Path(__file__).parents[2] / "bridge" / "console"


def words(name: str) -> dict[str, str]:
    text = (CONSOLE / "words" / f"{name}.js").read_text(encoding="utf-8")
    return dict(re.findall(r'^  "?([\w.-]+)"?: "(.*)",$', text, re.MULTILINE))


def test_a_studio_has_twins_of_words_that_exist() -> None:
    for key in words("en"):
        assert key.removesuffix(".studio") in words("en"), key


def test_both_languages_have_the_same_keys_and_places() -> None:
    english, chinese = words("en"), words("zh")
    assert english.keys() == chinese.keys()
    for key, sentence in english.items():
        assert chinese[key]
        assert set(re.findall(r"{\w+}", sentence)) == set(re.findall(r"{\w+}", chinese[key])), key


def test_every_word_that_is_asked_for_exists() -> None:
    for path in CONSOLE.glob("[ap]*/*.js"):
        for key in re.findall(r'\bt\("([\w.-]+)"', path.read_text(encoding="utf-8")):
            assert key in words("en"), (path.name, key)


def test_every_error_code_has_chinese_words() -> None:
    assert words("errors-zh").keys() == codes().keys()
    assert not codes().keys() - words("hints-zh").keys()
