"""Extracts the sentences that people read, for translators: ``python -m tests.house.messages`` (``make messages``).

The catalogues of the languages get the new sentences, without a translation yet, and lose those that are gone. They
have no sentences of the command line, which is English.
"""

from __future__ import annotations

from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.frontend import CommandLineInterface
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "bookingapp" / "translations"
CATALOGUE = FOLDER / "messages.pot"
COMMANDS = (
    "bookingapp/cli/",
    "bookingapp/operations/arrivals.py",
    "bookingapp/operations/setting_checks.py",
    "bookingapp/operations/doctor.py",
)
# Without a date, so that a catalogue changes only where a sentence does.
HEADER = """msgid ""
msgstr ""
"Language: {code}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plurals}\\n"

"""


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


def read(path: Path) -> Catalog:
    """A catalogue. That of a language is in a folder of its code."""
    code = None if path == CATALOGUE else path.parts[-3]
    with path.open("rb") as file:
        return read_po(file, locale=code)


def languages() -> list[Path]:
    """The catalogues of the languages."""
    return sorted(FOLDER.glob("*/LC_MESSAGES/messages.po"))


def write(path: Path, catalogue: Catalog) -> None:
    """Write the catalogue of a language."""
    header = HEADER.format(code=catalogue.locale_identifier, plurals=catalogue.plural_forms)
    with path.open("wb") as file:
        file.write(header.encode())
        write_po(
            file, catalogue, omit_header=True, sort_output=True, ignore_obsolete=True, include_lineno=False
        )


def to_translate() -> Catalog:
    """The sentences that pages and mails say."""
    template, kept = read(CATALOGUE), Catalog()
    for one in template:
        if one.id and not all(name.startswith(COMMANDS) for name, _ in one.locations):
            kept[one.id] = one
    return kept


def update() -> None:
    """Bring the sentences of every language up to date with those of the source."""
    template = to_translate()
    for path in languages():
        catalogue = read(path)
        catalogue.update(template, no_fuzzy_matching=True)
        write(path, catalogue)


if __name__ == "__main__":
    extract(CATALOGUE)
    update()
