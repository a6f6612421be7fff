"""The page on attacks names tests and files that there are."""

import re

from project import ROOT

PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")


def test_every_named_test_is_there() -> None:
    named = re.findall(r"pytest (tests/\w+/\w+\.py) -k (\w+|\"[^\"]+\")", PAGE)
    assert len(named) > 20
    for file, words in named:
        tests = re.findall(r"^def (test_\w+)", (ROOT / file).read_text(encoding="utf-8"), re.M)
        for word in words.strip('"').split(" or "):
            assert any(word in name for name in tests), f"{file} -k {word}"


def test_every_linked_page_is_there() -> None:
    for file, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", PAGE)):
        text = (ROOT / "docs" / file).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)$", text, re.M)
        assert not anchor or anchor in [one.lower().replace(" ", "-") for one in headings]
