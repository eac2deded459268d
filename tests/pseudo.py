"""A language for tests alone: each sentence in brackets, with accents, half as long again, and from right to left. What
a page says outside of the brackets did not go through gettext; what is too narrow for it breaks in some real language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from babel import Locale
from babel.support import NullTranslations
from bs4.element import NavigableString

from bookingapp.core import i18n
from tests.pages import Page

CODE = "he"
"""Its dates and numbers are Hebrew: read from right to left, and with no letter of ours."""

OPEN, CLOSE = "\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}", "\N{MATHEMATICAL RIGHT WHITE SQUARE BRACKET}"
# Gaps, markup and the names within it stay as they are.
_KEPT = re.compile(r"(%\(\w+\)[sd]|%%|<[^>]*>|&#?\w+;|\{\w+\})")
_WORD = re.compile(r"[A-Za-z]{2,}")
_ACCENTS = str.maketrans("aceinouyACEINOUY", "åçéîñøüÿÅÇÉÎÑØÜÝ")
# A pattern of a date is no sentence.
_PATTERN = re.compile(r"[EdMLyHm ,:]+")
_VISIBLE = ("alt", "aria-description", "aria-label", "placeholder", "title")
_SILENT = {"script", "style", "code", "pre", "option"}
LETTERS = re.compile(r"[A-Za-z]{2,}")


class _Catalogue(NullTranslations):
    def ugettext(self, message: str) -> str:
        return pseudo(message)

    def ungettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return pseudo(msgid1 if n == 1 else msgid2)


def pseudo(message: str) -> str:
    """The sentence in that language."""
    if _PATTERN.fullmatch(message):
        return message
    parts = _KEPT.split(message)
    parts[::2] = [_WORD.sub(_grow, part) for part in parts[::2]]
    return OPEN + "".join(parts) + CLOSE


def _grow(found: re.Match[str]) -> str:
    word = found[0]
    return (word + word[: len(word) // 2].lower()).translate(_ACCENTS)


def offer(patch: pytest.MonkeyPatch) -> None:
    """Let readers choose it, for this test."""
    made, load = i18n._make(CODE, Locale.parse(CODE), _Catalogue()), i18n._load
    patch.setitem(i18n.LANGUAGES, CODE, CODE)
    patch.setattr(i18n, "_load", lambda code: made if code == CODE else load(code))


def untranslated(page: Page, names: re.Pattern[str]) -> Iterator[str]:
    """What the page shows outside of the brackets, with letters of ours and without these names."""
    depth = 0
    for text in page.find_all(string=True):
        if type(text) is not NavigableString or {parent.name for parent in text.parents} & _SILENT:
            continue
        outside = ""
        for letter in text:
            depth += (letter == OPEN) - (letter == CLOSE)
            outside += " " if depth or letter == CLOSE else letter
        yield from _words(outside, names)
    for element in page.find_all(True):
        for name in _VISIBLE:
            if value := element.get(name):
                yield from _words(_outside(str(value)), names)


def _outside(text: str) -> str:
    inner = re.compile(f"{OPEN}[^{OPEN}{CLOSE}]*{CLOSE}")
    while inner.search(text):
        text = inner.sub(" ", text)
    return text


def _words(text: str, names: re.Pattern[str]) -> Iterator[str]:
    words = names.sub("", " ".join(text.split()))
    if LETTERS.search(words):
        yield words
