"""The reader's language, and ``gettext`` and its variants, which everything else imports from here.

English is the source. A catalogue of another language is the ``.po`` file itself, read when the first reader needs it.
Templates use ``_()`` and ``{% trans %}``. Both ways work outside of a request as well (worker, command line, tests):
there everything is English, unless :func:`speaking` says otherwise.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, cast

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, get_decimal_symbol
from babel.support import NullTranslations, Translations
from flask import Flask, g, has_request_context, request
from flask_babel import Babel
from flask_babel.speaklater import LazyString
from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup, escape

from bookingapp.core import cookies
from bookingapp.marking import N_

__all__ = ["N_", "gettext", "init_app", "lazy_gettext", "locale", "ngettext", "number", "translated"]

SOURCE: Final = "en"
LANGUAGES: Final[Mapping[str, str]] = {SOURCE: "en_GB", "de": "de", "es": "es"}
"""The languages that readers can choose, each with the locale that writes its dates, money and numbers."""

LONGEST_CODE: Final = 12
ASKED: Final = "lang"
"""The argument of any page's address that chooses a language, and the cookie that keeps it."""

_CATALOGUES: Final = Path(__file__).resolve().parents[1] / "translations"

_Code = TypeVar("_Code")


class _Sentences(dict[str, Markup]):
    """Sentences without gaps as markup, cached by their English source."""

    def __init__(self, catalogue: NullTranslations) -> None:
        super().__init__()
        self._catalogue = catalogue

    def __missing__(self, message: str) -> Markup:
        made = self[message] = Markup(self._catalogue.ugettext(message) % {})  # noqa: S704 - part of the page.
        return made


class _Language(NamedTuple):
    """How dates, money and numbers are written, and the catalogue of sentences."""

    code: str
    locale: Locale
    catalogue: NullTranslations
    sentences: _Sentences
    tables: dict[int, tuple[object, dict[Any, str]]]


def _make(code: str, locale: Locale, catalogue: NullTranslations) -> _Language:
    """A language with its sentences, none of them cached yet."""
    return _Language(code, locale, catalogue, _Sentences(catalogue), {})


@cache
def _load(code: str) -> _Language:
    """A language of :data:`LANGUAGES`. A tenth of a second, once in each process."""
    locale = Locale.parse(LANGUAGES[code])
    if code == SOURCE:
        return _make(code, locale, NullTranslations())
    with (_CATALOGUES / code / "LC_MESSAGES" / "messages.po").open("rb") as file:
        written = read_po(file, locale=code)
    compiled = io.BytesIO()
    write_mo(compiled, written)
    compiled.seek(0)
    return _make(code, locale, Translations(compiled))


_spoken: ContextVar[_Language | None] = ContextVar("spoken", default=None)


def _language() -> _Language:
    """The reader's language, found once for each request, because pages need it for every sentence."""
    if (spoken := _spoken.get()) is not None:
        return spoken
    try:
        # The object itself: its proxy costs five times as much as everything else here.
        kept = g._get_current_object()  # noqa: SLF001
    except RuntimeError:  # No application is at work.
        return _load(SOURCE)
    try:
        found: _Language = kept.language
    except AttributeError:
        found = kept.language = _load(_select())
    return found


def _select() -> str:
    """The code of this request's language: what its address asks for, else what this browser has chosen before, else
    what it prefers.
    """
    if not has_request_context():
        return SOURCE
    return chosen() or _preferred()


def _preferred() -> str:
    """The best of what the browser prefers; of ``de-AT`` what there is of ``de``."""
    wanted = (tag.partition("-")[0].lower() for tag, quality in request.accept_languages if quality)
    return next((code for code in wanted if code in LANGUAGES), SOURCE)


def _known(code: str | None) -> str | None:
    return code if code in LANGUAGES else None


def asked() -> str | None:
    """The language that the address of this request asks for, or None."""
    return _known(request.args.get(ASKED)) if has_request_context() else None


def chosen() -> str | None:
    """The language that this browser's reader has chosen, now or before, or None."""
    return asked() or (_known(cookies.read(ASKED)) if has_request_context() else None)


def language() -> str:
    """The code of the reader's language, as it is stored: ``de``."""
    return _language().code


@contextmanager
def speaking(code: str | None) -> Iterator[None]:
    """Write to somebody else than who makes this request, in the language with that code; without one, or in one that
    is not offered any more, in English.
    """
    before = _spoken.set(_load(_known(code) or SOURCE))
    try:
        yield
    finally:
        _spoken.reset(before)


def locale() -> Locale:
    """The reader's locale; British English where there is no reader."""
    return _language().locale


def gettext(message: str, **variables: object) -> str:
    """The sentence in the reader's language, with ``%(name)s`` filled in."""
    text: str = _language().catalogue.ugettext(message)
    return text % variables if variables else text


def ngettext(singular: str, plural: str, num: int, **variables: object) -> str:
    """The form that the language uses for this number; ``%(num)s`` is the number as people write it."""
    text: str = _language().catalogue.ungettext(singular, plural, num)
    return text % {"num": number(num), **variables}


def lazy_gettext(message: str) -> str:
    """A sentence that is made when the module is imported (a form's label, a class attribute) and translated each
    time it is shown.

    It has no variables: a template shows it unescaped. It is no real ``str``: wrap it in ``str()`` before joining or
    storing it.
    """
    return cast("str", LazyString(gettext, message))


def translated(table: Mapping[_Code, str]) -> Mapping[_Code, str]:
    """A module's table of sentences (of :func:`lazy_gettext`) in the reader's language, for lists: each sentence is
    looked up once.
    """
    tables = _language().tables
    found = tables.get(id(table))
    if found is None:
        # With the table itself, so that no other one gets its id.
        found = tables[id(table)] = table, {code: str(sentence) for code, sentence in table.items()}
    return found[1]


def number(value: float) -> str:
    """``1234`` as ``1,234``."""
    return _number(value, locale())


@lru_cache(maxsize=1024)
def _number(value: float, locale: Locale) -> str:
    return format_decimal(value, locale=locale)


def decimal_mark() -> str:
    """What stands before decimals: a point, or a comma."""
    return get_decimal_symbol(locale())


def init_app(app: Flask) -> None:
    """Let templates use ``_()``, ``{% trans %}`` and the filter ``number``, and know the page's ``locale()``."""
    # Our own catalogues are not Flask-Babel's; by its locale, WTForms finds its own sentences.
    Babel(configure_jinja=False).init_app(app, locale_selector=lambda: str(locale()))
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    # Our functions are of Jinja's new style: they fill in the variables themselves.
    app.jinja_env.newstyle_gettext = True  # type: ignore[attr-defined]
    app.jinja_env.globals.update(_=_gettext, gettext=_gettext, ngettext=_ngettext, locale=locale)
    app.jinja_env.filters["number"] = number


@pass_eval_context
def _gettext(context: EvalContext, message: str, **variables: object) -> str:
    language = _language()
    if context.autoescape and not variables:
        return language.sentences[message]
    return _interpolate(context, language.catalogue.ugettext(message), variables)


@pass_eval_context
def _ngettext(context: EvalContext, singular: str, plural: str, num: int, **variables: object) -> str:
    text = _language().catalogue.ungettext(singular, plural, num)
    return _interpolate(context, text, {"num": number(num), **variables})


def _interpolate(context: EvalContext, text: str, variables: dict[str, object]) -> str:
    """Fill the sentence's gaps. It may contain markup, being part of the template; the variables are escaped."""
    if not context.autoescape:
        return text % variables
    # Markup's own % does the same in twice the time.
    return Markup(text % {name: escape(value) for name, value in variables.items()})  # noqa: S704
