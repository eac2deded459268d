"""Extracts the sentences that people read, for translators: ``python -m tests.house.messages`` (``make messages``)."""

from __future__ import annotations

from pathlib import Path

from babel.messages.frontend import CommandLineInterface

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "bookingapp" / "translations" / "messages.pot"


def extract(into: Path) -> None:
    """Write the catalogue. It has no dates and no line numbers, so it changes only where a sentence or a file does."""
    CommandLineInterface().run(  # type: ignore[no-untyped-call]
        [
            "pybabel",
            "--quiet",
            "extract",
            "--mapping-file=pyproject.toml",
            "--keywords=lazy_gettext",
            "--add-comments=Translators:",
            "--strip-comments",
            "--omit-header",
            "--add-location=file",
            "--sort-output",
            f"--output-file={into}",
            "bookingapp",
        ]
    )


if __name__ == "__main__":
    extract(CATALOGUE)
