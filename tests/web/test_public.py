"""The pages that anybody sees: directory, profile, session types, booking form."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.builders.models import Availability, Builder, Tier
from bookingapp.core.db import db, transaction
from bookingapp.session_types.models import SessionType
from tests import fakes
from tests.factories import list_bookings, make_builder
from tests.pages import HTMX, PageClient, parse
from tests.web.conftest import Book, Offer

FORM = {"name": "Zoë Client", "email": "Zoe@Example.org", "timezone": "America/New_York"}


def test_the_directory(client: PageClient, ada: Offer, kenji: Offer, calendly_wire: fakes.Calendly) -> None:
    page = client.page("/")
    links = [str(link["href"]) for link in page.select("#builder-results a[href^='/builders/']")]
    assert links == ["/builders/ada-okonkwo", "/builders/kenji-mori"]
    assert calendly_wire.seen == []


def test_an_unlisted_builder_is_not_in_it(app: Flask, client: PageClient, ada: Offer) -> None:
    with app.app_context(), transaction(db.session()) as session:
        session.get_one(Builder, ada.builder.id).listed = False
    for path in ("/", "/?q=ada"):
        assert "Ada Okonkwo" not in client.page(path).words


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=ada", ["ada"]),
        ("q=OKONKWO+ada", ["ada"]),
        ("q=typescript", ["kenji"]),
        ("q=+", ["ada", "kenji"]),
        ("q=nobody", []),
        ("skill=Python", ["ada"]),
        ("tier=expert", ["ada"]),
        ("tier=unheard-of", ["ada", "kenji"]),
        ("availability=limited", ["kenji"]),
        ("tier=expert&availability=limited", []),
    ],
)
def test_search_and_filters(app: Flask, client: PageClient, query: str, found: list[str]) -> None:
    """The page and the fragment agree, and say how many they found."""
    with app.app_context():
        make_builder(db.session(), slug="ada", display_name="Ada Okonkwo", tier=Tier.EXPERT)
        make_builder(
            db.session(),
            slug="kenji",
            display_name="Kenji Mori",
            skills=["TypeScript"],
            availability=Availability.LIMITED,
        )
    for headers in ({}, HTMX):
        page = client.page(f"/?{query}", headers=headers)
        slugs = [str(link["href"]).rsplit("/", 1)[1] for link in page.select("#builder-results h3 a")]
        assert slugs == found
        heading = page.one("#builder-results-title").text.lower()
        assert {0: "no builders", 1: "one builder", 2: "2 builders"}[len(found)] in heading


def test_what_was_typed_stays_and_is_harmless(client: PageClient, ada: Offer) -> None:
    page = client.page("/", query_string={"q": '"><script>alert(1)</script>'})
    assert page.one("input[name=q]")["value"] == '"><script>alert(1)</script>'


@pytest.mark.parametrize("path", ["/", "/builders/ada-okonkwo/session-types", "/bookings/{ref}/status"])
def test_a_page_and_its_fragment_agree(client: PageClient, book: Book, path: str) -> None:
    """One address, two bodies: the page has the fragment's root too, and `Vary` keeps them apart."""
    path = path.format(ref=book().ref)
    fragment = client.get(path, headers=HTMX)
    page = client.get(path.removesuffix("/status"))
    assert fragment.status_code == page.status_code == 200
    assert "HX-Request" in fragment.headers["Vary"]
    if not path.endswith("/status"):
        assert "HX-Request" in page.headers["Vary"]
    part = parse(fragment)
    roots = part.find_all(True, recursive=False)
    assert len(roots) == 1
    assert part.find(["html", "head", "body", "script", "style"]) is None
    assert parse(page).find("html") is not None
    assert parse(page).one(f"#{roots[0]['id']}").name == roots[0].name


@pytest.mark.parametrize("header", [{"HX-Boosted": "true"}, {"HX-History-Restore-Request": "true"}])
def test_a_boosted_or_restored_page_is_whole(client: PageClient, ada: Offer, header: dict[str, str]) -> None:
    page = client.page("/builders/ada-okonkwo/session-types", headers={**HTMX, **header})
    assert page.find("html") is not None


def test_the_profile_asks_no_provider(client: PageClient, ada: Offer, calendly_wire: fakes.Calendly) -> None:
    """It shows at once; the cards come after, or by a link without scripts."""
    page = client.page(ada.path)
    assert calendly_wire.seen == []
    assert "Ada Okonkwo" in page.words
    assert [p.text for p in page.select(".profile__about .prose p")] == ["One paragraph.", "Another."]
    cards = page.one("#session-cards")
    assert cards["hx-get"] == f"{ada.path}/session-types"
    assert cards.select(f"a[href='{ada.path}/session-types']")


def test_links_of_a_profile(app: Flask, client: PageClient, ada: Offer) -> None:
    with app.app_context(), transaction(db.session()) as session:
        session.execute(sa.update(Builder).values(links={"Blog": "https://ada.example.org"}))
    link = client.page(ada.path).one("a[href='https://ada.example.org']")
    assert link.text.strip() == "Blog"


@pytest.mark.parametrize("ending", ["", "/session-types", "/session-types/PAID"])
def test_there_is_no_such_builder(client: PageClient, ada: Offer, ending: str) -> None:
    client.page(f"/builders/nobody{ending}", status=404)


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "fragment"])
def test_the_cards(client: PageClient, ada: Offer, headers: dict[str, str]) -> None:
    """What a program reads of each card; what is unpriced, hidden, inactive or secret is not there."""
    page = client.page(f"{ada.path}/session-types", headers=headers)
    cards = {str(card["data-session-type"]): card for card in page.select("[data-session-type]")}
    said = {
        name: tuple(card[f"data-{key}"] for key in ("price-minor", "currency", "bookable"))
        for name, card in cards.items()
    }
    assert said == {
        "PAID": ("6000", "GBP", "true"),
        "FREE": ("0", "GBP", "true"),
        "TWICE": ("6000", "GBP", "false"),
    }
    assert "£60.00" in cards["PAID"].text
    assert "Free" in cards["FREE"].text
    for name in ("PAID", "FREE"):
        assert cards[name].select(f"a[href='{ada.detail(name)}']")
    assert "you should not pay twice" in " ".join(cards["TWICE"].text.split())
    # Not in the words, attributes or links of the page either.
    for unpublished in ("Office Hours", "UNPRICED", "Hidden by its builder", "HIDDEN"):
        assert unpublished not in str(page)


@pytest.mark.parametrize("path", ["/session-types", "/session-types/PAID"])
def test_host_written_html_is_cleaned(client: PageClient, ada: Offer, path: str) -> None:
    """Its lists and emphasis stay; what could run or restyle is gone (the client refuses it anywhere)."""
    text = client.get(f"{ada.path}{path}").text
    assert "<strong>idea</strong>" in text
    assert "<li>One</li>" in text
    assert 'href="https://example.org/a"' in text
    assert "here" in text
    for gone in ("steal", "<a rel", "display:none", "color:red", "<iframe", "onerror"):
        assert gone not in text


def test_calendly_is_down(client: PageClient, ada: Offer, calendly_wire: fakes.Calendly) -> None:
    calendly_wire.down = True
    for headers in ({}, HTMX):
        answer = client.get(f"{ada.path}/session-types", headers=headers)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "HX-Request" in answer.headers["Vary"]
        # From a cache, "Try again" would show it again.
        assert answer.headers["Cache-Control"] == "no-store"
        page = parse(answer)
        assert page.one("#session-cards").select(f"a[href='{ada.path}/session-types']")
        assert "try again" in page.words.lower()
    assert "Ada Okonkwo" in client.page(ada.path).words
    assert client.get(ada.detail("PAID")).status_code == 503
    assert client.submit(f"{ada.detail('PAID')}/book", FORM).status_code == 503


def test_the_booking_form(client: PageClient, ada: Offer) -> None:
    page = client.page(ada.detail("PAID"))
    form = page.one(f"form[action='{ada.detail('PAID')}/book']")
    names = {str(field.get("name")) for field in form.select("input, select")}
    assert names == {"name", "email", "timezone", "csrf_token"}
    chosen = form.select("select[name=timezone] option[selected]")
    assert [option["value"] for option in chosen] == ["Europe/London"]
    assert "Cancel at least 24 hours before the start: you get the full price back." in page.words
    assert "30 minutes" in page.words
    assert "£60.00" in page.words


def test_a_free_session_speaks_of_no_money(client: PageClient, ada: Offer) -> None:
    words = client.page(ada.detail("FREE")).words
    assert "This session is free" in words
    assert "Stripe" not in words.split("Times are kept by Calendly")[0]


@pytest.mark.parametrize("name", ["UNPRICED", "HIDDEN", "INACTIVE", "NOSUCH", "KENJI"])
def test_what_is_not_offered_is_not_there(
    app: Flask, client: PageClient, ada: Offer, kenji: Offer, name: str
) -> None:
    """A type that is not published answers like one that does not exist."""
    for one in ("NOSUCH", name):
        assert "This session is not offered any more." in client.page(ada.detail(one), status=404).words
    assert client.get(f"{ada.detail(name)}/times").status_code == 404
    assert client.get(f"{ada.detail(name)}/times", headers=HTMX).status_code == 404
    assert client.submit(f"{ada.detail(name)}/book", FORM).status_code == 404
    assert list_bookings(app) == []


def test_a_withdrawn_type_is_gone_at_once(
    app: Flask, client: PageClient, ada: Offer, calendly_wire: fakes.Calendly
) -> None:
    """The answer of Calendly that we keep does not show it any longer, also while Calendly is down."""
    assert client.page(f"{ada.path}/session-types").select("[data-session-type=PAID]")
    with app.app_context(), transaction(db.session()) as session:
        session.execute(sa.update(SessionType).values(published=False))
    for down in (False, True):
        calendly_wire.down = down
        assert not client.page(f"{ada.path}/session-types").select("[data-session-type]")
        client.page(ada.detail("PAID"), status=404)
        client.page(ada.detail("SECRET"), status=404)


def test_what_cannot_be_booked_says_why(app: Flask, client: PageClient, ada: Offer) -> None:
    page = client.page(ada.detail("TWICE"))
    assert "Not open for booking" in page.words
    assert not page.select("main form[method=post]")
    answer = client.submit(f"{ada.detail('TWICE')}/book", FORM)
    assert answer.status_code == 409
    assert "Not open for booking" in parse(answer).words
    assert list_bookings(app) == []


def test_booking(app: Flask, client: PageClient, ada: Offer) -> None:
    answer = client.submit(f"{ada.detail('PAID')}/book", {**FORM, "name": "  Zoë   Client "})
    (booking,) = list_bookings(app)
    assert (answer.status_code, answer.location) == (303, f"/bookings/{booking.ref}/schedule")
    assert (booking.status.value, booking.price_minor, booking.currency) == ("pending", 6000, "GBP")
    assert (booking.client_name, booking.client_email) == ("Zoë Client", "zoe@example.org")
    assert booking.client_timezone == "America/New_York"
    assert (booking.title, booking.duration_minutes) == ("60 Minute Consultation", 60)
    assert booking.policy["client_cancels"]


@pytest.mark.parametrize("zone", [None, "", "Nowhere/Land", "../etc"])
def test_the_zone_is_optional(app: Flask, client: PageClient, ada: Offer, zone: str | None) -> None:
    data = {key: value for key, value in FORM.items() if key != "timezone"}
    client.submit(f"{ada.detail('PAID')}/book", data if zone is None else {**data, "timezone": zone})
    assert [booking.client_timezone for booking in list_bookings(app)] == ["Europe/London"]


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"name": ""}, "name", "Please enter your name."),
        ({"name": "   "}, "name", "Please enter your name."),
        ({"name": "x" * 121}, "name", "too long"),
        ({"email": ""}, "email", "Please enter your e-mail address."),
        ({"email": "zoe"}, "email", "Please enter a valid e-mail address."),
        ({"email": "zoe@"}, "email", "Please enter a valid e-mail address."),
        ({"email": "zoe@example.org\nBcc: all@example.org"}, "email", "Please enter a valid e-mail address."),
        ({"email": "x" * 250 + "@example.org"}, "email", "too long"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field(
    app: Flask, client: PageClient, ada: Offer, change: dict[str, str], field: str, words: str
) -> None:
    """422, tied to the field for assistive technology; what was typed stays."""
    answer = client.submit(f"{ada.detail('PAID')}/book", {**FORM, **change})
    assert answer.status_code == 422
    page = parse(answer)
    control = page.one(f"[name={field}]")
    assert control["aria-invalid"] == "true"
    assert words in page.one(f"#{str(control['aria-describedby']).split()[-1]}").text
    assert page.select("[role=alert]")
    other = "email" if field == "name" else "name"
    assert page.one(f"[name={other}]")["value"] in (FORM[other], FORM[other].lower())
    assert page.select("select[name=timezone] option[selected]")[0]["value"] == "America/New_York"
    assert list_bookings(app) == []
