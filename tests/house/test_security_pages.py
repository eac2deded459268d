"""The pages about security name tests and modules that exist, and count right."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from bookingapp.core.settings import PROJECT_ROOT

THREATS, ASVS = "docs/CALENDLY_SECURITY_CONSIDERATIONS.md", "docs/security-asvs.md"
# Of the 345 requirements of ASVS 5.0.0: level 1 and level 2.
LEVELS_ONE_AND_TWO = 70 + 183


@pytest.mark.parametrize("page", [THREATS, ASVS])
def test_every_test_and_file_that_they_name_exists(page: str) -> None:
    """A test as ``tests/folder/test_file.py::test_name``, a module as ``core/edge.py`` below ``bookingapp``."""
    text = (PROJECT_ROOT / page).read_text()
    tests = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(tests) > 20
    for path, test in tests:
        assert (PROJECT_ROOT / path).is_file(), path
        assert not test or f"def {test}(" in (PROJECT_ROOT / path).read_text(), f"{path}::{test}"
    for path in re.findall(r"`((?!tests/)[\w/]+\.(?:py|js|html|txt))`", text):
        assert (PROJECT_ROOT / path).is_file() or (PROJECT_ROOT / "bookingapp" / path).is_file(), path


def test_every_requirement_has_one_answer() -> None:
    """A row may answer several of one section: ``1.2.6, 1.2.7``. The summary counts them."""
    text = (PROJECT_ROOT / ASVS).read_text()
    gaps, _, chapters = text.partition("\n## V1 ")
    rows = re.findall(
        r"^\| (\d[\d., ]+) \| [^|]+ \| (met|partly|not met|n/a) \| [^|]+ \|$", chapters, re.MULTILINE
    )
    assert len(rows) == len(re.findall(r"^\| \d+\.\d", chapters, re.MULTILINE)), "a row in another form"
    answers = [(number.strip(), answer) for numbers, answer in rows for number in numbers.split(",")]
    numbers = [number for number, _ in answers]
    assert [number for number, times in Counter(numbers).items() if times > 1] == []
    assert len(numbers) == LEVELS_ONE_AND_TWO
    explained = [
        number for row in re.findall(r"^\| (\d[\d., ]+) \|", gaps, re.MULTILINE) for number in row.split(", ")
    ]
    assert explained == [number for number, answer in answers if answer in ("partly", "not met")]
    counted = Counter(answer for _, answer in answers)
    assert dict(re.findall(r"^- \*\*([a-z/ ]+)\*\*: (\d+)", text, re.MULTILINE)) == {
        answer: str(number) for answer, number in counted.items()
    }
