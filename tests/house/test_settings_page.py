"""``docs/settings.md`` lists exactly the settings, each with its default."""

from __future__ import annotations

import re

import pytest

from bookingapp.core.settings import PROJECT_ROOT, Settings

PAGE = PROJECT_ROOT / "docs" / "settings.md"
ROW = re.compile(r"^\| `(?P<name>[A-Z_]+)` \| (?P<default>.*?) \| (?P<meaning>.*?) \|$", re.MULTILINE)
# Defaults that depend on the environment are said in words.
IN_WORDS = {
    "SECRET_KEY": "generated in development",
    "ENCRYPTION_KEYS": "generated in development",
    "DATABASE_URL": "a SQLite file in the instance folder",
    "LOG_FORMAT": "`text` in development, else `json`",
    "INSTANCE_DIR": "`instance/` in the project",
}


@pytest.fixture(scope="module")
def rows() -> dict[str, re.Match[str]]:
    """The table's rows by setting."""
    assert PAGE.is_file(), "docs/settings.md is missing: it documents every setting in a table"
    found = list(ROW.finditer(PAGE.read_text()))
    assert len({row["name"] for row in found}) == len(found), "docs/settings.md names a setting twice"
    return {row["name"]: row for row in found}


def test_every_setting_is_documented_and_no_other(rows: dict[str, re.Match[str]]) -> None:
    """A new setting fails here until the page says what it is."""
    assert set(rows) == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_the_default_is_the_real_one(rows: dict[str, re.Match[str]], name: str) -> None:
    """And the meaning is a sentence."""
    row = rows[name.upper()]
    default = Settings.model_fields[name].default
    expected = IN_WORDS.get(name.upper(), "none" if default in (None, "", ()) else f"`{default}`")
    assert row["default"] == expected
    assert row["meaning"].strip()
