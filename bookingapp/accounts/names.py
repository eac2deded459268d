"""The names of people, as they are stored."""

from __future__ import annotations

import re
import unicodedata

from bookingapp.core.errors import Invalid
from bookingapp.core.i18n import gettext
from bookingapp.text import one_line, without_joiners

# Mail programs make a link of it, and our mails would carry it to strangers: an address with its scheme or a path, four
# numbers, or a word with the ending of a domain.
_WEB_ADDRESS = re.compile(r"://|www\.|\w\.\w+/|\b\d{1,3}(?:\.\d{1,3}){3}\b", re.IGNORECASE)
_COUNTRY = "[a-z]{2}"
_KNOWN = (
    "com net org edu gov int info biz name mobi tel asia jobs xyz top site online shop store club live link click app"
    " dev tech space website page pro icu vip cloud money cash fun help support bank work win bid loan men date stream"
    " download party trade review today news email life world games casino bet poker sex xxx porn dating chat zip mov"
    " blog wiki lol cam host ink media network one ovh sbs cfd buzz monster cyou quest finance credit loans crypto"
    " рф онлайн сайт укр бел 中国 公司 网络 在线 example"
)
_DOMAIN = re.compile(
    rf"(?<![^\s.])([^\s.]+)\.(?!(?:jr|sr)\b)({_COUNTRY}|{'|'.join(_KNOWN.split())})(?![\w-]|\.\w)",
    re.IGNORECASE,
)
_PARTICLES = frozenset({"af", "al", "av", "da", "de", "di", "do", "du", "el", "la", "le", "lo", "te", "zu"})


def normalize_name(text: str) -> str:
    """A person's name: one line, with what joins the letters of a word. Where the space after an abbreviation is
    missing and what follows looks like the ending of a domain, it is added, so that no mail program makes a link of it:
    "Joh.de Vries", "Prof.Li", "B.Com". Raises :class:`Invalid` for any other text.
    """
    if len(text.strip().splitlines()) > 1:
        raise Invalid(gettext("Please write your name on one line."))
    name = one_line(text)
    if not name:
        raise Invalid(gettext("Please enter your name."))
    plain = _plain(name)
    if _WEB_ADDRESS.search(plain):
        raise _has_address()
    # Again, because a space makes an ending of what was in the middle: "evil.Com.De Vries".
    while found := list(_DOMAIN.finditer(plain)):
        if not all(map(_is_abbreviation, found)):
            raise _has_address()
        spaced = _DOMAIN.sub(_add_space, name)
        name = spaced if spaced != name else _DOMAIN.sub(_add_space, plain)
        plain = _plain(name)
    return name


def _plain(name: str) -> str:
    """The name as browsers read an address: without joiners, and with one kind of dot."""
    return without_joiners(unicodedata.normalize("NFKC", name)).replace("\N{IDEOGRAPHIC FULL STOP}", ".")


def _add_space(found: re.Match[str]) -> str:
    return found[0].replace(".", ". ")


def _has_address() -> Invalid:
    return Invalid(gettext("Please enter your name without a web address. Put a space after a dot."))


def _is_abbreviation(found: re.Match[str]) -> bool:
    """Whether what looks like a domain is rather an abbreviation before a name or a particle, or a degree."""
    short, ending = re.split(r"[^\w]", found[1])[-1], found[2]
    if not _is_capitalized(short) or len(short) > (4 if len(ending) == len("de") else 2):
        return False
    if ending in _PARTICLES:
        return any(word[:1].isupper() for word in found.string[found.end() :].split())
    return _is_capitalized(ending)


def _is_capitalized(word: str) -> bool:
    return word[:1].isupper() and (len(word) <= len("LI") or word[1:].islower())
