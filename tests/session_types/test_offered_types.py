"""What Calendly says of a type decides whether and how it can be booked."""

from __future__ import annotations

import pytest

from tests.live import FREE, HALF, HOUR, Live

CARDS = "/builders/ada/session-types"


def cards(live: Live) -> set[str]:
    return {
        str(card["data-session-type"]) for card in live.browser().page(CARDS).select("[data-session-type]")
    }


def change(live: Live, event_type: str, **how: object) -> None:
    """The builder changes the type in Calendly, and the webhook arrives."""
    live.hands.control(f"calendly/event-types/{event_type}", **how)
    live.work()


@pytest.mark.parametrize("how", [{"active": False}, {"booking_method": "poll"}, None])
def test_what_calendly_does_not_offer_is_not_there(live: Live, how: dict[str, object] | None) -> None:
    live.builder(types={HOUR: {}, HALF: {}})
    if how is None:
        live.hands.control(f"calendly/event-types/{HOUR}/delete")
        live.work()
    else:
        change(live, HOUR, **how)
    assert HOUR not in cards(live)
    assert HALF in cards(live)
    assert live.browser().get(f"{CARDS}/{HOUR}").status_code == 404


def test_secret_ones_need_the_link(live: Live) -> None:
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


def test_secret_ones_that_are_not_published_have_no_address(live: Live) -> None:
    live.builder(types={HOUR: {"published": False}})
    change(live, HOUR, secret=True)
    change(live, FREE, secret=True)
    for event_type in (HOUR, FREE):
        assert live.browser().get(f"{CARDS}/{event_type}").status_code == 404
    assert not {HOUR, FREE} & cards(live)


def test_a_type_without_a_name_has_a_title(live: Live) -> None:
    live.builder(types={HOUR: {}})
    change(live, HOUR, name=None)
    card = live.browser().page(CARDS).one(f"[data-session-type={HOUR}]")
    assert card.select("h4")[0].text == "Session"
