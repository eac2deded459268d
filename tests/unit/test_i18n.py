"""The reader's language: English everywhere so far, and what another one will need."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import Mock

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po
from flask import Flask, render_template_string

from bookingapp.core import clock, i18n, money

AT = datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
GERMAN: dict[str | tuple[str, ...], str | tuple[str, ...]] = {
    "Hello %(name)s": "Hallo %(name)s",
    "All of it": "Alles",
    ("%(num)s hour", "%(num)s hours"): ("%(num)s Stunde", "%(num)s Stunden"),
    "EEEE d MMMM y": "EEEE, d. MMMM y",
}


@pytest.fixture
def catalogues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A German catalogue of these sentences alone."""
    catalogue = Catalog(locale="de")
    for message, text in GERMAN.items():
        catalogue.add(message, text)
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "messages.po").open("wb") as file:
        write_po(file, catalogue)
    monkeypatch.setattr(i18n, "_CATALOGUES", tmp_path)
    monkeypatch.setitem(i18n.LANGUAGES, "de", "de")
    i18n._load.cache_clear()
    yield
    i18n._load.cache_clear()


@pytest.fixture
def german(catalogues: None) -> Iterator[None]:
    """A request whose reader speaks German."""
    app = Flask(__name__)
    app.config["COOKIE_PREFIX"] = ""
    i18n.init_app(app)
    with app.test_request_context(headers={"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}):
        yield


def test_it_is_english_without_an_application() -> None:
    """In a unit test, a thread of its own, a module that is being imported."""
    assert i18n.gettext("All of it") == "All of it"
    assert i18n.gettext("Hello %(name)s", name="Ada") == "Hello Ada"
    assert i18n.gettext("50 %") == "50 %"
    assert i18n.ngettext("%(num)s builder", "%(num)s builders", 1) == "1 builder"
    assert i18n.ngettext("%(num)s builder", "%(num)s builders", 1234) == "1,234 builders"
    assert str(i18n.lazy_gettext("All of it")) == i18n.N_("All of it") == "All of it"
    assert str(i18n.locale()) == "en_GB"


def test_it_is_english_in_the_application(app: Flask) -> None:
    with app.test_request_context():
        assert str(i18n.locale()) == "en_GB"
        assert i18n.gettext("All of it") == "All of it"
        assert render_template_string("{{ locale().language }}") == "en"


@pytest.mark.usefixtures("german")
def test_a_sentence_is_translated_where_it_is_shown() -> None:
    lazy = i18n.lazy_gettext("All of it")
    assert i18n.gettext("All of it") == str(lazy) == render_template_string("{{ x }}", x=lazy) == "Alles"
    assert i18n.gettext("Hello %(name)s", name="Ada") == "Hallo Ada"
    assert i18n.ngettext("%(num)s hour", "%(num)s hours", 1234) == "1.234 Stunden"
    assert i18n.gettext("Unknown") == "Unknown"


@pytest.mark.usefixtures("german")
def test_dates_money_and_numbers_follow_the_language() -> None:
    assert clock.day(AT, "Europe/London") == "Dienstag, 24. November 2026"
    assert clock.weekday(AT, "Europe/London") == "Dienstag"
    assert clock.duration(60) == "1 Stunde"
    assert money.format_money(123456, "EUR") == "1.234,56\N{NO-BREAK SPACE}€"
    assert i18n.number(1234) == "1.234"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("{{ _('All of it') }}", "Alles"),
        ("{% trans %}All of it{% endtrans %}", "Alles"),
        ("{% trans %}\n  All\n  of it\n{% endtrans %}", "Alles"),
        ("{% trans name=x %}Hello {{ name }}{% endtrans %}", "Hallo &lt;b&gt;"),
        ("{{ _('Hello %(name)s', name=x) }}", "Hallo &lt;b&gt;"),
        ("{% trans %}<b>50 %</b>{% endtrans %}", "<b>50 %</b>"),
        ("{% trans num=1 %}{{ num }} hour{% pluralize %}{{ num }} hours{% endtrans %}", "1 Stunde"),
        ("{% trans num=1234 %}{{ num }} hour{% pluralize %}{{ num }} hours{% endtrans %}", "1.234 Stunden"),
        ("{{ 1234|number }} {{ locale().language }} {{ locale().text_direction }}", "1.234 de ltr"),
    ],
)
@pytest.mark.usefixtures("german")
def test_templates_translate_and_escape(source: str, shown: str) -> None:
    """Markup in a sentence is markup, and in what is filled in it is text."""
    assert render_template_string(source, x="<b>") == shown


def test_the_language_is_found_once_in_a_request(german: None, monkeypatch: pytest.MonkeyPatch) -> None:
    select = Mock(return_value="de")
    monkeypatch.setattr(i18n, "_select", select)
    for _ in range(3):
        i18n.gettext("All of it")
        clock.day(AT, "UTC")
        render_template_string("{{ _('All of it') }}")
    select.assert_called_once()


@pytest.mark.parametrize(
    ("asked", "cookie", "prefers", "found"),
    [
        ("", None, "", "en"),
        ("", None, "fr", "en"),
        ("", None, "fr, de;q=0.5", "de"),
        ("", None, "de-CH", "de"),
        ("", None, "de-AT, en;q=0.9", "de"),
        ("", None, "EN-us, de", "en"),
        ("", None, "de;q=0, *", "en"),
        ("", "de", "en", "de"),
        ("?lang=en", "de", "de", "en"),
        ("?lang=de", "en", "en", "de"),
        ("?lang=fr", "fr", "de", "de"),
    ],
)
@pytest.mark.usefixtures("catalogues")
def test_the_address_decides_then_the_cookie_then_the_browser(
    asked: str, cookie: str | None, prefers: str, found: str
) -> None:
    app = Flask(__name__)
    app.config["COOKIE_PREFIX"] = ""
    i18n.init_app(app)
    headers = {"Accept-Language": prefers, **({"Cookie": f"lang={cookie}"} if cookie else {})}
    with app.test_request_context(f"/{asked}", headers=headers):
        assert i18n.language() == found


@pytest.mark.usefixtures("catalogues")
def test_mails_are_written_in_the_language_of_who_reads_them(app: Flask) -> None:
    """Without a request, or in that of somebody else; in English where the language is not offered any more."""
    for context in (app.app_context, lambda: app.test_request_context("/?lang=en")):
        with context():
            assert i18n.gettext("All of it") == "All of it"
            with i18n.speaking("de"):
                assert i18n.gettext("All of it") == render_template_string("{{ _('All of it') }}") == "Alles"
                assert clock.weekday(AT, "Europe/London") == "Dienstag"
                with i18n.speaking(None):
                    assert i18n.gettext("All of it") == "All of it"
                with i18n.speaking("tlh"):
                    assert i18n.gettext("All of it") == "All of it"
            assert i18n.gettext("All of it") == "All of it"


@pytest.mark.usefixtures("german")
def test_zones_and_typed_amounts_follow_the_language() -> None:
    """Letters and cities as people say them, and the mark before decimals that they type."""
    assert clock.clock(AT, "Europe/Vienna") == "15:30 MEZ"
    assert clock.clock(AT, "America/New_York") == "09:30 EST"
    assert clock.zone_label(AT.replace(month=7), "Europe/Berlin") == "MESZ"
    assert clock.zone_city("Europe/Vienna") == "Wien"
    assert clock.zone_city("America/New_York") == "New York"
    assert clock.zone_city("Asia/Kolkata") == "Kalkutta"
    assert clock.zone_city("Atlantic/Faroe") == "Färöer"
    assert clock.zone_city("Europe/Kyiv") == "Kyiv"
    assert money.price_text(6050, "EUR") == "60,50"
    assert money.parse_price(money.price_text(1250, "KWD"), "KWD") == 1250
    with pytest.raises(money.AmountError, match="1250 or 1,25"):
        money.parse_price("1.250", "KWD")
