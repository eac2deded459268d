"""The reader's language, and ``gettext`` and its variants, which everything else imports from here.

English is the source and so far the only language. Templates use ``_()`` and ``{% trans %}``. Both ways work outside
of a request as well (worker, command line, tests), where everything is English.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple, cast

from babel import Locale
from babel.numbers import format_decimal
from babel.support import NullTranslations
from flask import Flask, g, has_app_context
from flask_babel import Babel, get_locale, get_translations
from flask_babel.speaklater import LazyString
from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup, escape

from bookingapp.marking import N_

__all__ = ["N_", "gettext", "init_app", "lazy_gettext", "locale", "ngettext", "number"]

DEFAULT: Final = "en_GB"


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

    locale: Locale
    catalogue: NullTranslations
    sentences: _Sentences


@lru_cache(maxsize=100)
def _make(locale: Locale, catalogue: NullTranslations) -> _Language:
    return _Language(locale, catalogue, _Sentences(catalogue))


_SOURCE: Final = _make(Locale.parse(DEFAULT), NullTranslations())


def _language() -> _Language:
    """The reader's language, found once for each request or job, because pages need it for every sentence."""
    if not has_app_context():
        return _SOURCE
    # The object itself: its proxy costs five times as much as everything else here.
    kept = g._get_current_object()  # noqa: SLF001
    try:
        found: _Language = kept.language
    except AttributeError:
        found = kept.language = _make(get_locale() or _SOURCE.locale, get_translations())
    return found


def locale() -> Locale:
    """The reader's locale; British English outside of a request."""
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


def number(value: int) -> str:
    """``1234`` as ``1,234``."""
    return _number(value, locale())


@lru_cache(maxsize=1024)
def _number(value: int, locale: Locale) -> str:
    return format_decimal(value, locale=locale)


def init_app(app: Flask) -> None:
    """Let templates use ``_()``, ``{% trans %}`` and the filter ``number``, and know the page's ``locale()``."""
    Babel(configure_jinja=False).init_app(app, default_locale=DEFAULT, locale_selector=_selected)
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    # Our functions are of Jinja's new style: they fill in the variables themselves.
    app.jinja_env.newstyle_gettext = True  # type: ignore[attr-defined]
    app.jinja_env.globals.update(_=_gettext, gettext=_gettext, ngettext=_ngettext, locale=locale)
    app.jinja_env.filters["number"] = number


def _selected() -> str:
    """The language of this request: the place to read the reader's own choice."""
    return DEFAULT


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
