"""Every command, option, file and section that the documents name exists."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import click
import pytest

from bookingapp.core.settings import PROJECT_ROOT
from tests.house.commands import FENCE, all_commands, calls, fault, pieces

PAGES = [
    *(PROJECT_ROOT / name for name in ("README.md", "CONTRIBUTING.md", "bench/README.md", "tests/README.md")),
    *sorted((PROJECT_ROOT / "docs").glob("*.md")),
]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
MAKE = re.compile(r"(?:^|\s)make ([a-z]+)")
NAMES = [path.relative_to(PROJECT_ROOT).as_posix() for path in PAGES]


@pytest.fixture(scope="module")
def commands() -> click.Group:
    return all_commands()


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_exists(page: Path, commands: click.Group) -> None:
    found = [fault(given, commands) for given in calls(page.read_text(), commands)]
    assert [one for one in found if one] == []


def test_commands_are_found(commands: click.Group) -> None:
    """The test above reads what it is meant to read."""
    text = "```sh\nX=1 flask --app wsgi builders make \\\n  --up | x\n```\n`webhooks list --on`, `jobs`, `flask wok`"
    given = list(calls(text, commands))
    assert given == [["builders", "make", "--up"], ["webhooks", "list", "--on"], ["wok"]]
    assert [bool(fault(one, commands)) for one in given] == [True, True, True]
    assert fault(["webhooks", "show", "12", "--body"], commands) is None


def test_each_says_how_it_is_used(commands: click.Group) -> None:
    """``--help`` of every command that a document names."""
    named = {
        tuple(word for word in given[:2] if re.fullmatch(r"[a-z][a-z-]*", word))
        for page in PAGES
        for given in calls(page.read_text(), commands)
    }
    assert len(named) > 20
    for path in named:
        command: click.Command = commands
        for word in path:
            if isinstance(command, click.Group):
                command = command.commands[word]
        assert command.get_short_help_str(), path


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_target_of_make_exists(page: Path) -> None:
    rules = (PROJECT_ROOT / "Makefile").read_text()
    for piece in pieces(page.read_text()):
        for target in MAKE.findall(piece):
            assert re.search(rf"^{target}:", rules, re.MULTILINE), piece


@cache
def anchors(page: Path) -> set[str]:
    """The sections' names in addresses, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, section in LINK.findall(FENCE.sub("", page.read_text())):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        assert not section or section in anchors(path), f"{target}#{section}"


def test_the_index_names_every_document() -> None:
    index = (PROJECT_ROOT / "docs" / "README.md").read_text()
    for page in (PROJECT_ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name}" in index, page.name
