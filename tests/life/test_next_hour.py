"""After the hour: Stripe's receipt, and the next hour in two clicks."""

from __future__ import annotations

import requests

from tests.life.road import Road


def test_the_receipt_and_the_next_hour(road: Road) -> None:
    """The receipt is Stripe's own page. The form is filled with what the booking has, which is in no address."""
    trip = road.confirmed()
    receipt = str(trip.page.one("#receipt-link")["href"])
    assert "Receipt for £60.00" in requests.get(receipt, timeout=20).text
    road.let_pass(f"complete:{trip.row.id}:", ended=trip)
    page = trip.page
    button = page.one("#again-button")
    assert (button.text.strip(), button["href"]) == ("Book the next hour", f"/bookings/{trip.ref}/again")
    form = trip.browser.page(str(button["href"]))
    before = trip.row
    assert form.one("[name=name]")["value"] == before.client_name
    assert form.one("[name=email]")["value"] == before.client_email
    assert form.one("[name=timezone] [selected]")["value"] == before.client_timezone
    # The key is in nothing that the page says of itself: browsers share the canonical address.
    assert trip.ref not in str(form.one("head"))
    action = str(form.one("form.panel")["action"])
    assert "@" not in action and "?" not in action
    sent = {name: str(form.one(f"[name={name}]")["value"]) for name in ("name", "email")}
    answer = trip.browser.submit(action, {**sent, "timezone": before.client_timezone})
    assert answer.status_code == 303
    assert answer.location.endswith("/schedule")
    assert trip.ref not in answer.location
