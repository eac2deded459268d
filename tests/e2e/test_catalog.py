"""What can be booked, for how much, and by how many."""

from __future__ import annotations

import pytest

from .stack import Stack
from .visitor import Visitor

pytestmark = pytest.mark.xdist_group("e2e-catalog")


def card_facts(visitor: Visitor, slug: str) -> dict[str, tuple[object, object, object]]:
    return {
        identifier: (card["data-price-minor"], card["data-currency"], card["data-bookable"])
        for identifier, card in visitor.cards(slug).items()
    }


def test_the_demo_offers_what_it_should(visitor: Visitor) -> None:
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


def test_group_session_two_people_one_event(stack: Stack, visitor: Visitor, another: Visitor) -> None:
    first = visitor.book("maya-lindqvist", "ETMAYAGRPHALF240")
    first.schedule()
    second = another.book("maya-lindqvist", "ETMAYAGRPHALF240")
    second.schedule(first.event["start_time"])
    assert first.event_uri == second.event_uri
    assert first.invitee_uri != second.invitee_uri
    for booking in (first, second):
        booking.pay_on_page(booking.open_checkout())
        booking.wait("confirmed", "paid")
        assert stack.ledger(booking.ref) == [("charge", 29900, "GBP")]
    # Neither sees the other.
    assert another.name not in visitor.get(f"/bookings/{first.ref}").response.text
