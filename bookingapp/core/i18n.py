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
from markupsafe import Markup

from bookingapp.marking import N_

__all__ = ["N_", "gettext", "init_app", "lazy_gettext", "locale", "ngettext", "number"]

DEFAULT: Final = "en_GB"


class _Language(NamedTuple):
    """How dates, money and numbers are written, and the catalogue of sentences."""

    locale: Locale
    catalogue: NullTranslations


_SOURCE: Final = _Language(Locale.parse(DEFAULT), NullTranslations())


def _language() -> _Language:
    """The reader's language, found once for each request or job, because pages need it for every sentence."""
    if not has_app_context():
        return _SOURCE
    found: _Language | None = g.get("language")
    if found is None:
        found = g.language = _Language(get_locale() or _SOURCE.locale, get_translations())
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
    text: str = _language().catalogue.ugettext(message)
    return _interpolate(context, text, variables)


@pass_eval_context
def _ngettext(context: EvalContext, singular: str, plural: str, num: int, **variables: object) -> str:
    text: str = _language().catalogue.ungettext(singular, plural, num)
    return _interpolate(context, text, {"num": number(num), **variables})


def _interpolate(context: EvalContext, text: str, variables: dict[str, object]) -> str:
    """Fill the sentence's gaps. It may contain markup, being part of the template; the variables are escaped."""
    return (Markup(text) if context.autoescape else text) % variables  # noqa: S704
