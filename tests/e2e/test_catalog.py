"""What can be booked, for how much, and by how many."""

from __future__ import annotations

import pytest
import requests

from .stack import Stack
from .visitor import Visitor

pytestmark = pytest.mark.xdist_group("e2e-catalog")


def card_facts(visitor: Visitor, slug: str) -> dict[str, tuple[object, object, object]]:
    return {
        identifier: (card["data-price-minor"], card["data-currency"], card["data-bookable"])
        for identifier, card in visitor.cards(slug).items()
    }


def test_the_demo_offers_what_it_should(stack: Stack, visitor: Visitor) -> None:
    assert card_facts(visitor, "ada-okonkwo") == {
        "ETADACONSULT0030": ("3000", "GBP", "true"),
        "ETADACONSULT0060": ("6000", "GBP", "true"),
        "ETADADEEPDIVE090": ("9000", "GBP", "true"),
        "ETADAGETSTART030": ("0", "GBP", "true"),
        "ETADAOFFICEHR045": ("", "", "false"),
    }
    assert card_facts(visitor, "kenji-mori") == {
        "ETKENJICONSUL060": ("9000", "JPY", "true"),
        "ETKENJIREVIEW030": ("5000", "JPY", "true"),
        "ETKENJISTART0015": ("0", "JPY", "true"),
    }
    assert card_facts(visitor, "maya-lindqvist") == {
        "ETMAYAGRPHALF240": ("29900", "GBP", "true"),
        "ETMAYAGRPFULL480": ("49900", "GBP", "true"),
        "ETMAYABACKWORK15": ("0", "GBP", "true"),
        "ETMAYACONSULT060": ("8500", "EUR", "true"),
    }


def test_cards_are_a_fragment_for_htmx_and_a_page_otherwise(stack: Stack, visitor: Visitor) -> None:
    address = "/builders/ada-okonkwo/session-types"
    fragment = visitor.get(address, headers={"HX-Request": "true"})
    assert fragment.response.text.lstrip().startswith("<section")
    assert "HX-Request" in fragment.response.headers["Vary"]
    page = visitor.get(address)
    assert page.one("html h1")
    assert len(page.soup.select("[data-session-type]")) == 5


def test_the_profile_makes_no_provider_call(stack: Stack, visitor: Visitor) -> None:
    stack.control("reset-requests", {})
    assert visitor.get("/").status == 200
    for slug in ("ada-okonkwo", "kenji-mori", "maya-lindqvist"):
        assert visitor.get(f"/builders/{slug}").status == 200
    assert stack.provider_calls() == []


def test_unpriced_is_shown_and_not_bookable(stack: Stack, visitor: Visitor) -> None:
    card = visitor.cards("ada-okonkwo")["ETADAOFFICEHR045"]
    assert "No price yet" in card.get_text()
    assert [link for link in card.select("a") if link.get_text(strip=True).startswith("Book")] == []
    page = visitor.get("/builders/ada-okonkwo/session-types/ETADAOFFICEHR045")
    assert page.status == 200
    assert page.soup.select("form[action$=book]") == []

    visitor.book("ada-okonkwo", "ETADACONSULT0060")
    refused = visitor.post(
        "/builders/ada-okonkwo/session-types/ETADAOFFICEHR045/book",
        {"name": visitor.name, "email": visitor.email, "price": "1"},
    )
    assert refused.status == 409


@pytest.mark.parametrize(
    ("slug", "identifier"),
    [
        ("kenji-mori", "ETKENJIOLDWS0120"),
        ("kenji-mori", "ETADACONSULT0060"),
        ("ada-okonkwo", "ETNOSUCHTYPE0001"),
    ],
)
def test_inactive_foreign_and_unknown_types_are_not_there(
    stack: Stack, visitor: Visitor, slug: str, identifier: str
) -> None:
    visitor.book("kenji-mori", "ETKENJISTART0015")
    assert identifier not in visitor.cards(slug)
    assert visitor.get(f"/builders/{slug}/session-types/{identifier}").status == 404
    address = f"/builders/{slug}/session-types/{identifier}/book"
    assert visitor.post(address, {"name": visitor.name, "email": visitor.email}).status == 404


def test_scenario_39_a_yen_price_arrives_at_stripe_as_it_is(stack: Stack, visitor: Visitor) -> None:
    booking = visitor.book("kenji-mori", "ETKENJICONSUL060")
    booking.schedule()
    page = visitor.get(f"/bookings/{booking.ref}")
    assert page.one("#pay-button").get_text(strip=True).endswith("¥9,000")
    booking.pay_on_page(booking.open_checkout())
    booking.wait("confirmed", "paid")
    (session,) = stack.checkout_sessions(booking.ref)
    assert (session["amount_total"], session["currency"]) == (9000, "jpy")
    assert stack.ledger(booking.ref) == [("charge", 9000, "JPY")]


def test_group_session_two_people_one_event(stack: Stack, visitor: Visitor, another: Visitor) -> None:
    first = visitor.book("maya-lindqvist", "ETMAYAGRPHALF240")
    first.schedule()
    event = next(row for row in stack.control("state")["events"] if row["id"] in first.event_uri)
    second = another.book("maya-lindqvist", "ETMAYAGRPHALF240")
    second.schedule(event["start_time"])
    assert first.event_uri == second.event_uri
    assert first.invitee_uri != second.invitee_uri
    for booking in (first, second):
        booking.pay_on_page(booking.open_checkout())
        booking.wait("confirmed", "paid")
        assert stack.ledger(booking.ref) == [("charge", 29900, "GBP")]
    # Neither sees the other.
    assert another.name not in visitor.get(f"/bookings/{first.ref}").response.text


def test_the_calendar_file_is_there_once_confirmed(stack: Stack, visitor: Visitor) -> None:
    booking = visitor.book("ada-okonkwo", "ETADAGETSTART030")
    assert visitor.get(f"/bookings/{booking.ref}/session.ics").status == 404
    booking.schedule()
    booking.wait("confirmed", "none")
    answer: requests.Response = visitor.get(f"/bookings/{booking.ref}/session.ics").response
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    assert "BEGIN:VEVENT" in answer.text
    assert f"{stack.url}/bookings/{booking.ref}" in answer.text.replace("\r\n ", "")
    assert stack.checkout_sessions(booking.ref) == []
