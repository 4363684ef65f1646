"""The page about the magics is made of their grammar."""

from __future__ import annotations

from pathlib import Path

from flowbook_magics import reference


def test_the_page_about_the_magics_says_what_the_grammar_says() -> None:
    written = Path(__file__).parents[2] / "docs" / "magics.md"
    assert written.read_text(encoding="utf-8") == reference.page(), (
        "Make the page anew: python -m flowbook_magics.reference > docs/magics.md"
    )
