"""What Calendly says of a type decides whether and how it can be booked."""

from __future__ import annotations

from tests.live import FREE, HALF, HOUR, Live

CARDS = "/builders/ada/session-types"


def cards(live: Live) -> set[str]:
    """The types that the profile lists."""
    return {
        str(card["data-session-type"]) for card in live.browser().page(CARDS).select("[data-session-type]")
    }


def change(live: Live, event_type: str, **how: object) -> None:
    """The builder changes the type in Calendly; we are told."""
    live.hands.control(f"calendly/event-types/{event_type}", **how)
    live.work()


def test_inactive_ones_are_not_there(live: Live) -> None:
    """Neither on the list nor at their address."""
    live.builder(types={HOUR: {}, HALF: {}})
    change(live, HOUR, active=False)
    assert HOUR not in cards(live)
    assert HALF in cards(live)
    assert live.browser().get(f"{CARDS}/{HOUR}").status_code == 404


def test_deleted_ones_are_not_there(live: Live) -> None:
    """Likewise."""
    live.builder(types={HOUR: {}})
    live.hands.control(f"calendly/event-types/{HOUR}/delete")
    live.work()
    assert HOUR not in cards(live)
    assert live.browser().get(f"{CARDS}/{HOUR}").status_code == 404


def test_polls_are_not_there(live: Live) -> None:
    """Nobody can book one on the spot; the dashboard says so."""
    live.builder(types={HOUR: {}})
    change(live, HOUR, booking_method="poll")
    assert HOUR not in cards(live)
    assert live.browser().get(f"{CARDS}/{HOUR}").status_code == 404
    page = live.browser("ada").page("/dashboard/session-types")
    assert "Meeting poll" in page.one(f"#session-type-{HOUR}").text


def test_secret_ones_are_for_who_has_the_link(live: Live) -> None:
    """Priced and published, they can be booked at their address and are on no list; the dashboard has the link."""
    live.builder(types={HOUR: {}, HALF: {}})
    change(live, HOUR, secret=True)
    assert HOUR not in cards(live)
    page = live.browser().page(f"{CARDS}/{HOUR}")
    assert page.select("form[method=post]")
    assert page.one("meta[name=robots]")["content"] == "noindex"
    _, ref = live.book()
    assert live.booking(ref).status == "pending"
    dashboard = live.browser("ada").page("/dashboard/session-types")
    link = dashboard.one(f"#session-type-{HOUR} .type-form__note a")
    assert str(link["href"]).endswith(f"{CARDS}/{HOUR}")


def test_secret_ones_that_nobody_published_have_no_address(live: Live) -> None:
    """Neither hidden nor unpriced ones."""
    live.builder(types={HOUR: {"published": False}})
    change(live, HOUR, secret=True)
    change(live, FREE, secret=True)
    for event_type in (HOUR, FREE):
        assert live.browser().get(f"{CARDS}/{event_type}").status_code == 404
    assert not {HOUR, FREE} & cards(live)


def test_what_calendly_charges_for_is_blocked_with_the_reason(live: Live) -> None:
    """It is shown, and nobody can pay twice."""
    live.builder(types={HOUR: {}})
    change(live, HOUR, is_paid=True)
    page = live.browser().page(CARDS)
    card = page.one(f"[data-session-type={HOUR}]")
    assert card["data-bookable"] == "false"
    assert "Calendly itself asks for a payment" in card.text
    assert not card.select(".session-card__times")
    form = {"name": "Grace Hall", "email": "grace@example.org", "timezone": "UTC"}
    refused = live.browser().submit(f"{CARDS}/{HOUR}/book", form)
    assert refused.status_code == 409
    assert "nobody should pay twice" in refused.text


def test_a_type_without_a_name_is_shown_all_the_same(live: Live) -> None:
    """Calendly allows it."""
    live.builder(types={HOUR: {}})
    change(live, HOUR, name=None)
    card = live.browser().page(CARDS).one(f"[data-session-type={HOUR}]")
    assert card.select("h4")[0].text == "Session"
