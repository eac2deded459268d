"""What people write, as it is kept and shown: without what copying and pasting adds to it."""

from __future__ import annotations

import unicodedata
from typing import Final

# Zero width non-joiner and joiner: part of the spelling in Persian, Sinhala and emoji, where they are inside of a word.
_JOINERS: Final = "\u200c\u200d"


def printable(text: str) -> str:
    """``text`` without control and format characters (line breaks, direction marks, zero width spaces, byte order
    marks), without spaces around it, and without joiners that join nothing.
    """
    kept = "".join(part for part in text.strip() if part.isprintable() or part in _JOINERS)
    return kept.strip(f" {_JOINERS}")


def one_line(text: str, *, longest: int | None = None) -> str:
    """``text`` as words with single spaces between them; it ends in an ellipsis where it was longer than that."""
    line = " ".join(word for word in map(printable, text.split()) if word)
    return line if longest is None or len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def fold(text: str) -> str:
    """``text`` for comparing and sorting: in lower case, without accents, with single spaces between the words."""
    folded = " ".join(text.casefold().split())
    if folded.isascii():
        return folded
    parts = unicodedata.normalize("NFKD", folded)
    return "".join(part for part in parts if not unicodedata.combining(part))
