"""``tests/README.md`` names every package, every test and every helper, and nothing that is gone."""

from __future__ import annotations

import re

from bookingapp.core.settings import PROJECT_ROOT
from tests.spread import UNITS

TESTS = PROJECT_ROOT / "tests"
PACKAGE = PROJECT_ROOT / "bookingapp"
TEXT = (TESTS / "README.md").read_text()


def section(title: str) -> list[list[str]]:
    """The cells of a section's table, by row."""
    rows = re.findall(
        r"^\| (.+) \|$", TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0], re.MULTILINE
    )
    return [row.split(" | ") for row in rows[2:]]


def names(cell: str) -> list[str]:
    """The names in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def test_every_package_is_named() -> None:
    named = {name for row in section("By package") for name in names(row[0])}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert named == packages | {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}


def test_every_test_is_named() -> None:
    """By its file or its folder."""
    named = {
        name
        for title in ("By package", "Across packages")
        for row in section(title)
        for name in names(row[-1])
    }
    assert [name for name in named if not (TESTS / name).exists()] == []
    files = {path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}
    assert {file for file in files if not any(file.startswith(name) for name in named)} == set()


def test_every_helper_is_named() -> None:
    named = {name for row in section("Helpers") for name in names(row[0])}
    assert named == {path.name for path in TESTS.glob("*.py")} - {"__init__.py"}


def test_what_runs_first_exists() -> None:
    assert [name for name in UNITS if not (TESTS / name).exists()] == []
