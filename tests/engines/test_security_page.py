"""The page on attacks names tests that there are."""

import re

from project import ROOT

PAGE = (ROOT / "docs/reference/security.md").read_text(encoding="utf-8")


def test_every_named_test_is_there() -> None:
    named = re.findall(r"pytest (tests/[\w/]+\.py(?: tests/[\w/]+\.py)*) -k (\w+|\"[^\"]+\")", PAGE)
    assert len(named) > 20
    for files, words in named:
        texts = [(ROOT / file).read_text(encoding="utf-8") for file in files.split()]
        tests = [test for text in texts for test in re.findall(r"^def (test_\w+)", text, re.M)]
        for word in words.strip('"').split(" or "):
            assert any(word in name for name in tests), f"{files} -k {word}"
