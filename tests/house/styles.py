"""Reads sheets into rules, and templates and scripts into the classes that they write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_JINJA_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_CLASS_ATTRIBUTE = re.compile(r'\bclass="((?:\{\{.*?\}\}|\{%.*?%\}|[^"{])*)"', re.DOTALL)
_BODY_CLASS = re.compile(r"\{% block body_class %\}(.*?)\{% endblock %\}", re.DOTALL)
_CLASS = re.compile(r"\.(-?[a-zA-Z_][\w-]*)")


class Rule(NamedTuple):
    """One rule: the at-rules around it from the outside in, its selector, its declarations."""

    around: tuple[str, ...]
    selector: str
    declarations: tuple[tuple[str, str], ...]

    @property
    def layers(self) -> list[str]:
        """The layers it lies in, from the outside in."""
        return [one.removeprefix("@layer ") for one in self.around if one.startswith("@layer ")]

    @property
    def classes(self) -> set[str]:
        """Every class in the selector."""
        return set(_CLASS.findall(self.selector))


class Sheet(NamedTuple):
    """One sheet: its rules, without those of keyframes, and what is said beside rules."""

    path: Path
    rules: list[Rule]
    keyframes: set[str]
    statements: list[str]


def read_sheet(path: Path) -> Sheet:
    """Parse a sheet that is written without braces or semicolons inside of strings."""
    sheet = Sheet(path, [], set(), [])
    _read_block(sheet, _COMMENT.sub(" ", path.read_text()), ())
    return sheet


def _read_block(sheet: Sheet, text: str, around: tuple[str, ...]) -> None:
    at = 0
    while found := re.compile(r"[;{]").search(text, at):
        prelude = " ".join(text[at : found.start()].split())
        if found[0] == ";":
            sheet.statements.append(prelude)
            at = found.end()
            continue
        end = _end_of_block(text, found.end())
        inside = text[found.end() : end]
        at = end + 1
        if prelude.startswith("@keyframes "):
            sheet.keyframes.add(prelude.removeprefix("@keyframes "))
        elif prelude.startswith("@"):
            _read_block(sheet, inside, (*around, prelude))
        else:
            sheet.rules.append(Rule(around, prelude, tuple(_declarations(inside))))
    assert not text[at:].strip(), f"{sheet.path.name}: {text[at:][:80]!r} is no rule"


def _end_of_block(text: str, start: int) -> int:
    depth = 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at
    raise AssertionError(f"no end of {text[start:][:80]!r}")


def _declarations(text: str) -> Iterator[tuple[str, str]]:
    for declaration in text.split(";"):
        if declaration.strip():
            name, _, value = declaration.partition(":")
            yield name.strip(), " ".join(value.split())


def written_classes(paths: Iterable[Path]) -> dict[str, set[str]]:
    """The classes that templates write, each with the names of the files. A Jinja expression in one reads ``*``."""
    found: dict[str, set[str]] = {}
    for path in paths:
        text = _JINJA_COMMENT.sub("", path.read_text())
        for value in (*_CLASS_ATTRIBUTE.findall(text), *_BODY_CLASS.findall(text)):
            plain = re.sub(
                r"\{\{.*?\}\}", "*", re.sub(r"\{%.*?%\}", " ", value, flags=re.DOTALL), flags=re.DOTALL
            )
            for name in plain.split():
                found.setdefault(name, set()).add(path.name)
    return found


def queried_classes(scripts: Iterable[Path]) -> set[str]:
    """The classes in the selectors that scripts look for."""
    queries = re.compile(r"(?:querySelector(?:All)?|closest|matches)\??\.?\(\s*[\"'`]([^\"'`]*)")
    return {
        name
        for path in scripts
        for query in queries.findall(path.read_text())
        for name in _CLASS.findall(query)
    }
