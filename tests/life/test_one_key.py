"""The client's reference opens the client's pages, so nobody else gets to see it."""

from __future__ import annotations

import io
import json
import re
import zipfile

import pytest

from tests.life.road import BUILDER, CLIENT, Road, Trip
from tests.mailbox import html, text
from tests.pages import PageClient


def crawl(browser: PageClient, start: str) -> dict[str, str]:
    """The dashboard's pages, by path, that links lead to from ``start``; files in them are unpacked. Of the calendar's
    months and weeks, which never end, only the first ones.
    """
    found: dict[str, str] = {}
    todo, seen = [start], set[str]()
    while todo:
        path = todo.pop(0)
        kind = re.sub(r"\b(month|week)=[^&]*", r"\1", path)
        if kind in seen:
            continue
        seen.add(kind)
        answer = browser.get(path)
        if answer.mimetype == "application/zip":
            with zipfile.ZipFile(io.BytesIO(answer.data)) as packed:
                found[path] = "\n".join(packed.read(name).decode() for name in packed.namelist())
            continue
        found[path] = answer.text
        links = re.findall(r'(?:href|action)="(/dashboard[^"#]*)"', answer.text)
        todo += [link.replace("&amp;", "&") for link in links if "logout" not in link]
    return found


@pytest.fixture
def trip(road: Road) -> Trip:
    """Confirmed, moved and canceled, so that everything that is ever said about a booking was said."""
    trip = road.confirmed()
    trip.move(by_host=True)
    assert trip.browser.submit(f"/bookings/{trip.ref}/cancel").status_code == 303
    road.live.work()
    assert trip.truth == ("canceled", "refunded")
    return trip


def test_no_page_of_the_builder_has_it(trip: Trip) -> None:
    """Every page of the dashboard that links lead to, with its files."""
    start = trip.dashboard
    pages = crawl(trip.road.live.browser("ada"), "/dashboard") | crawl(
        trip.road.live.browser("ada"), f"{start}/evidence"
    )
    assert {start, f"{start}/evidence", "/dashboard/webhooks"} <= set(pages)
    assert [path for path, body in pages.items() if trip.ref in path or trip.ref in body] == []


def test_no_mail_to_the_builder_has_it(trip: Trip) -> None:
    """The client's mails do, and lead to the client's page."""
    mails = trip.road.mails.to(BUILDER)
    assert len(mails) > 1
    for mail in mails:
        assert trip.ref not in str(mail) + text(mail) + html(mail)
        assert trip.dashboard in text(mail)
    assert f"/bookings/{trip.ref}" in text(trip.road.mails.to(CLIENT)[0])


def test_providers_get_another_identifier(trip: Trip) -> None:
    """Stripe's redirect leads the client's own browser back; everywhere else stands the identifier."""
    state = trip.road.live.state()
    (session,) = state["sessions"]
    name = trip.row.tracking_id
    assert session["client_reference_id"] == session["metadata"]["booking"] == name
    for address in ("success_url", "cancel_url"):
        assert f"/bookings/{trip.ref}" in session.pop(address)
    objects = [session, *(state[kind] for kind in ("charges", "refunds", "events", "invitees"))]
    assert trip.ref not in json.dumps(objects)


def test_the_identifier_opens_nothing(trip: Trip) -> None:
    """Neither on the client's pages, with any browser, nor at another builder's."""
    name = trip.row.tracking_id
    for browser in (trip.browser, trip.road.live.browser("ada"), trip.road.live.browser()):
        for below in ("", "/status", "/schedule", "/cancel", "/session.ics", "/paid"):
            assert browser.get(f"/bookings/{name}{below}").status_code == 404
    for below in ("cancel", "pay", "check"):
        assert trip.browser.submit(f"/bookings/{name}/{below}").status_code == 404
    assert trip.road.live.browser("ada").get(f"/dashboard/bookings/{trip.ref}").status_code == 404


def test_a_payment_page_of_before_is_still_known(road: Road) -> None:
    """Checkout Sessions that were opened before the identifier carry the reference."""
    trip = road.scheduled()
    checkout, store = trip.open_checkout(), road.live.hands.server.sandbox.store
    document = store.get("checkout_session", checkout)
    assert document is not None
    document["client_reference_id"] = document["metadata"]["booking"] = trip.ref
    store.put("checkout_session", checkout, document)
    road.live.hands.control(f"stripe/sessions/{checkout}/pay")
    road.live.work()
    assert trip.truth == ("confirmed", "paid")
    assert trip.attention() is None
