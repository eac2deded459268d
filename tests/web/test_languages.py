"""Every page in a language that is no human's: what is not translated, what it says of itself, how it is chosen."""

from __future__ import annotations

import re
from urllib.parse import unquote, urljoin

import pytest
from flask import Flask

from bookingapp.access import Access
from bookingapp.accounts.models import Account
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.core.db import db
from tests import pseudo
from tests.factories import PASSWORD
from tests.pages import PageClient, new_client, parse
from tests.web.conftest import Book, Offer
from tests.web.test_access import Objects, objects, operator, routes, sender

__all__ = ["objects", "operator"]

# The same in every language: names of people and things, what builders wrote, addresses, zones.
NAMES = re.compile(
    r"""https?://\S*|\S+@\S+
    |Builder\ Hours|Calendly|Stripe|Python|English|Deutsch|Español|evt_of_ada|(GM|B?S|UT|CE)[CT]\b
    |Ada\ Okonkwo|AO|ada-okonkwo|Grace\ Hall|Kenji\ Mori|kenji-mori|New\b|A,|Firefox
    |(60|30)\ Minute\ Consultation(,\ online\.)?|Getting\ Started|Office\ Hours|Hidden\ by\ its\ builder|Switched\ off
    |For\ friends|Paid\ in\ Calendly|Builds\ things|One\ paragraph\.|Another\.|Call\ her
    |Bring\ an|idea|One\b|here|there""",
    re.VERBOSE,
)


@pytest.fixture(autouse=True)
def _pseudo(monkeypatch: pytest.MonkeyPatch) -> None:
    pseudo.offer(monkeypatch)


def walk(app: Flask, client: PageClient, objects: Objects, *kinds: Access) -> dict[str, set[str]]:
    """By page, what is not translated; those that forms are sent to without being filled in among them."""
    client.set_cookie("lang", pseudo.CODE)
    found: dict[str, set[str]] = {}
    send = sender(app, client, objects)
    for method, rule in routes(app, *kinds):
        answer = send(method, rule)
        if answer.mimetype == "text/html" and not 300 <= answer.status_code < 400:
            shown = set(pseudo.untranslated(parse(answer), NAMES))
            found |= {f"{method} {rule}": shown} if shown else {}
    return found


def test_pages_of_clients_are_translated(app: Flask, client: PageClient, objects: Objects) -> None:
    assert walk(app, client, objects, Access.PUBLIC, Access.CLIENT, Access.LINK) == {}


def test_pages_of_builders_are_translated(app: Flask, browser: PageClient, objects: Objects) -> None:
    assert walk(app, browser, objects, Access.BUILDER) == {}


def test_the_console_is_translated(app: Flask, operator: PageClient, objects: Objects) -> None:
    assert walk(app, operator, objects, Access.OPERATOR) == {}


def test_a_booking_is_translated_in_every_state(app: Flask, browser: PageClient, book: Book) -> None:
    """On its own pages, and on those of its builder."""
    browser.set_cookie("lang", pseudo.CODE)
    for status in Status:
        booking = book(status)
        for path in (
            f"/bookings/{booking.ref}",
            f"/bookings/{booking.ref}/cancel",
            f"/bookings/{booking.ref}/schedule",
            f"/dashboard/bookings/{booking.tracking_id}",
        ):
            answer = browser.get(path)
            if answer.status_code == 200:
                assert set(pseudo.untranslated(parse(answer), NAMES)) == set(), (status, path)


def test_a_link_on_every_page_changes_the_language(client: PageClient, ada: Offer) -> None:
    """Without JavaScript. It keeps path and query, and the browser keeps the choice."""
    page = client.page("/?q=ada&lang=en")
    assert page.one("html")["lang"] == "en"
    link = page.one(f"footer a[hreflang={pseudo.CODE}]")
    assert (link["href"], link["lang"]) == (f"?q=ada&lang={pseudo.CODE}", pseudo.CODE)
    assert page.one("footer a[aria-current]").text == "English"
    chosen = client.page(f"/{link['href']}")
    assert (chosen.one("html")["lang"], chosen.one("html")["dir"]) == (pseudo.CODE, "rtl")
    assert pseudo.OPEN in chosen.one("h1").text
    assert client.page(ada.path).one("html")["lang"] == pseudo.CODE
    assert new_client(client.application).page(ada.path).one("html")["lang"] == "en"


def test_what_answers_a_form_leads_to_the_page_of_the_form(client: PageClient, ada: Offer) -> None:
    """The address that a form is sent to cannot be opened."""
    form = ada.detail("PAID") + "?time=2026-12-01T14:00:00Z"
    ours, theirs = "http://127.0.0.1:8000", "https://evil.example/x"
    for referrer, leads in (
        (ours + form, form),
        (f"{ours}{ada.detail('PAID')}/book?x=y", f"{ada.detail('PAID')}?lang"),
        (ours + "//evil.example", "/?"),
        (theirs, f"{ada.detail('PAID')}?lang"),
        (ours + ".evil.example/x", f"{ada.detail('PAID')}?lang"),
        ("http://[::1", f"{ada.detail('PAID')}?lang"),
        ("", f"{ada.detail('PAID')}?lang"),
    ):
        answer = client.submit(f"{ada.detail('PAID')}/book", {"name": ""}, headers={"Referer": referrer})
        assert answer.status_code == 422
        href = str(parse(answer).one("footer a[hreflang=en]")["href"])
        assert unquote(href).startswith(leads)


@pytest.mark.parametrize("role", ["client", "browser", "operator"])
def test_every_answer_to_a_form_leads_to_a_page(
    app: Flask, objects: Objects, role: str, request: pytest.FixtureRequest
) -> None:
    """Also where that form was in the answer to a form: the browser names an address that takes forms alone."""
    client: PageClient = request.getfixturevalue(role)
    kinds = {"client": Access.LINK, "browser": Access.BUILDER, "operator": Access.OPERATOR}
    send, answers = sender(app, client, objects), 0
    for method, rule in routes(app, Access.PUBLIC, kinds[role]):
        with app.test_request_context():
            path = app.url_for(rule.endpoint, **{name: objects[name] for name in rule.arguments})
        answer = send(method, rule, headers={"Referer": f"http://127.0.0.1:8000{path}"})
        links = parse(answer).select("footer a[hreflang=en]") if answer.mimetype == "text/html" else []
        if method != "POST" or not links:
            continue
        answers += 1
        leads = urljoin(path, str(links[0]["href"]))
        assert client.get(leads).status_code != 405, (rule, leads)
    assert answers > 5


def test_caches_keep_languages_apart(client: PageClient, ada: Offer) -> None:
    for headers, code in (({"Accept-Language": pseudo.CODE}, pseudo.CODE), ({}, "en")):
        answer = client.get(ada.path, headers=headers)
        assert answer.headers["Content-Language"] == code
        assert {"accept-language", "cookie"} <= {name.lower() for name in answer.vary}
    for path in ("/healthz", "/static/app.css?v=1"):
        assert "Content-Language" not in client.get(path).headers


def test_search_engines_find_each_language(client: PageClient, ada: Offer) -> None:
    page = client.page(f"{ada.path}?lang=en&q=x")
    assert page.one("link[rel=canonical]")["href"] == f"http://127.0.0.1:8000{ada.path}?lang=en"
    found = {link["hreflang"]: link["href"] for link in page.select("link[rel=alternate]")}
    assert found["x-default"] == f"http://127.0.0.1:8000{ada.path}"
    assert found[pseudo.CODE] == f"http://127.0.0.1:8000{ada.path}?lang={pseudo.CODE}"


def test_a_booking_keeps_the_language_it_was_made_in(app: Flask, client: PageClient, book: Book) -> None:
    """A client who changes it on the booking's page changes it for the mails; who changes it elsewhere does not."""
    booking = book()

    def kept() -> str:
        with app.app_context():
            return db.session().get_one(Booking, booking.id).language

    assert kept() == "en"
    client.get(f"/?lang={pseudo.CODE}")
    client.get(f"/bookings/{booking.ref}")
    assert kept() == "en"
    client.get(f"/bookings/{booking.ref}?lang={pseudo.CODE}")
    assert kept() == pseudo.CODE


def test_a_new_booking_is_in_the_language_of_its_form(app: Flask, client: PageClient, ada: Offer) -> None:
    client.set_cookie("lang", pseudo.CODE)
    answer = client.submit(f"{ada.detail('FREE')}/book", {"name": "Grace Hall", "email": "grace@example.org"})
    assert answer.status_code == 303
    with app.app_context():
        assert db.session().query(Booking).one().language == pseudo.CODE


def test_an_account_keeps_its_language(app: Flask, ada: Offer) -> None:
    """What was chosen in this browser, else its own, else what the browser prefers at the first log-in."""

    def language() -> str | None:
        with app.app_context():
            return db.session().get_one(Account, ada.builder.account_id).language

    def log_in(client: PageClient, **headers: str) -> PageClient:
        data = {"email": f"{ada.builder.slug}@example.com", "password": PASSWORD}
        assert client.submit("/login", data, headers=headers).status_code == 303
        return client

    assert language() is None
    log_in(new_client(app), **{"Accept-Language": pseudo.CODE})
    assert language() == pseudo.CODE
    browser = log_in(new_client(app))
    assert browser.page("/dashboard").one("html")["lang"] == pseudo.CODE
    browser.get("/?lang=en")
    assert language() == "en"
    other = new_client(app)
    other.set_cookie("lang", pseudo.CODE)
    log_in(other)
    assert language() == pseudo.CODE
