"""What people write: as it is kept and shown, without what copying and pasting adds to it, and as it is compared."""

from __future__ import annotations

import enum
import re
import unicodedata
from typing import Final, TypeVar

Code = TypeVar("Code", bound=enum.StrEnum)

# Zero width non-joiner and joiner: part of the spelling in Persian, Sinhala and emoji, where they are inside of a word.
_JOINERS: Final = "\u200c\u200d"
_WITHOUT_JOINERS: Final = str.maketrans("", "", _JOINERS)
# Letters and signs that show nothing: the fillers of Hangul, and Braille without dots.
_BLANKS: Final = "\u115f\u1160\u3164\uffa0\u2800"


def printable(text: str) -> str:
    """``text`` without control and format characters (line breaks, direction marks, zero width spaces, byte order
    marks) and blank letters, without spaces around it, and without joiners that join nothing.
    """
    seen = (part for part in text.strip() if part not in _BLANKS)
    kept = "".join(part for part in seen if part.isprintable() or part in _JOINERS)
    return kept.strip(f" {_JOINERS}")


def without_joiners(text: str) -> str:
    """``text`` without zero width joiners and non-joiners, as it looks."""
    return text.translate(_WITHOUT_JOINERS)


def one_line(text: str, *, longest: int | None = None) -> str:
    """``text`` as words with single spaces between them; it ends in an ellipsis where it was longer than that."""
    line = " ".join(word for word in map(printable, text.split()) if word)
    return line if longest is None or len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def read_code(kind: type[Code], text: str | None) -> Code | None:
    """The member of ``kind`` whose value ``text`` is, or None: for what stands in addresses."""
    return kind(text) if text in set(kind) else None


def fold(text: str) -> str:
    """``text`` for comparing and sorting: in lower case, without accents, with single spaces between the words."""
    folded = " ".join(text.casefold().split())
    if folded.isascii():
        return folded
    parts = unicodedata.normalize("NFKD", folded)
    return "".join(part for part in parts if not unicodedata.combining(part))


# Letters that Unicode does not decompose into one of the alphabet and a mark.
_LETTERS: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
_APOSTROPHES: Final = str.maketrans("", "", "'\u2019\u02bc\u0060\u00b4")
# Signs that are part of a name: C++, C#.
_SIGNS: Final = str.maketrans({"+": "plus", "#": "sharp"})
_SIGNS_AFTER_A_WORD: Final = re.compile(r"(?<=\w)[+#]+(?!\w)")
# Chinese and Japanese have no spaces: each of their characters counts as a word.
_IDEOGRAPHS: Final = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD: Final = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+")
LONGEST_WORD: Final = 40


def words(text: str) -> list[str]:
    """The words of ``text``, for searching and comparing: in lower case, without accents, signs and apostrophes, each
    cut to ``LONGEST_WORD``. ``Zoë O'Brien: C++, Node.js`` has the words zoe, obrien, cplusplus, node and js.
    """
    spelled = _SIGNS_AFTER_A_WORD.sub(lambda found: found[0].translate(_SIGNS), text.translate(_APOSTROPHES))
    plain = "".join(part for part in fold(spelled) if unicodedata.category(part) != "Mn")
    return [word[:LONGEST_WORD] for word in _WORD.findall(plain.casefold().translate(_LETTERS))]
