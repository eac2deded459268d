"""Builders put their session types in order, and their profile shows them so."""

from __future__ import annotations

from typing import Any

import pytest

from bookingapp.session_types.models import Category
from tests.live import FREE, HALF, HOUR, KENJI, Live, press
from tests.pages import PageClient

DEEP = "ETADADEEPDIVE090"
TYPES: dict[str, Any] = {
    HALF: {"category": Category.SPECIALIZED},
    HOUR: {"category": Category.SPECIALIZED},
    DEEP: {"category": Category.SPECIALIZED},
    FREE: {"category": Category.FREE, "price_minor": 0},
}


def shown(live: Live) -> list[str]:
    page = live.browser().page("/builders/ada/session-types")
    return [str(card["data-session-type"]) for card in page.select("[data-session-type]")]


def move(browser: PageClient, event_type: str, direction: str, **how: Any) -> Any:
    return press(browser, f"/dashboard/session-types/{event_type}/move", {"direction": direction}, **how)


@pytest.mark.any_database
def test_up_and_down(live: Live) -> None:
    """A type changes places with its neighbor, on the profile too; at either end nothing moves."""
    live.builder(types=TYPES)
    browser = live.browser("ada")
    assert shown(live)[:4] == [FREE, HALF, HOUR, DEEP]
    answer = move(browser, DEEP, "up")
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/dashboard/session-types#session-type-{DEEP}"
    assert shown(live)[:4] == [FREE, HALF, DEEP, HOUR]
    move(browser, HALF, "down")
    assert shown(live)[:4] == [FREE, DEEP, HALF, HOUR]
    for event_type, direction in ((DEEP, "up"), (HOUR, "down"), (FREE, "up"), (FREE, "down")):
        assert move(browser, event_type, direction).status_code == 303
    assert shown(live)[:4] == [FREE, DEEP, HALF, HOUR]


def test_the_dashboard_has_the_profiles_order(live: Live) -> None:
    """And says under which heading a type stands; a type that stands alone has nothing to press."""
    live.builder(types=TYPES)
    page = live.browser("ada").page("/dashboard/session-types")
    listed = [str(form["id"]).removeprefix("session-type-") for form in page.select("form.type-form")]
    assert listed[:4] == [FREE, HALF, HOUR, DEEP]
    assert page.select(f"#move-up-{HOUR}")
    assert page.one(f"#move-up-{HALF}")["aria-disabled"] == "true"
    assert not page.select(f"#move-up-{FREE}")
    assert Category.SPECIALIZED.label in page.one(f"form:has(#move-up-{HOUR})").text


def test_a_new_type_goes_behind_the_ordered_ones(live: Live) -> None:
    """Once somebody has put the others in order; its price is all that was asked for."""
    live.builder(types={HALF: {"display_order": 2}, HOUR: {"display_order": 1}})
    assert shown(live)[:2] == [HOUR, HALF]
    typed = {"price": "90", "currency": "GBP", "category": "other", "sign_in": "no", "published": "y"}
    form = {f"{DEEP}-{name}": value for name, value in typed.items()}
    answer = press(live.browser("ada"), f"/dashboard/session-types/{DEEP}", form)
    assert answer.status_code == 303, answer.text
    assert shown(live)[:3] == [HOUR, HALF, DEEP]


def test_only_up_and_down_and_only_ones_own(live: Live) -> None:
    live.builder(types=TYPES)
    live.builder("kenji", KENJI, types={"ETKENJICONSUL060": {}})
    for slug, direction in (("ada", ""), ("ada", "sideways"), ("kenji", "up")):
        assert move(live.browser(slug), HOUR, direction).status_code == 404
    assert shown(live)[:4] == [FREE, HALF, HOUR, DEEP]
