"""Invitees without our reference: the browser's honest claim attaches one, and the builder hears of the rest."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import sqlalchemy as sa

from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.builders.models import Builder
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.sync.reconciliation import reconcile_everything
from bookingapp.webhooks.handlers import Context
from tests.factories import make_session_type
from tests.life.road import CLIENT, Road, Trip, name_of
from tests.live import FREE, HALF, HOUR, press
from tests.pages import Page

GRACE = {"name": "Grace Hall", "email": CLIENT}


def schedule_without(road: Road, event_type: str = HOUR, **how: Any) -> dict[str, Any]:
    """Somebody books in Calendly, and the reference is lost on the way. Returns Calendly's invitee."""
    made: dict[str, Any] = road.live.hands.control("calendly/book", event_type=event_type, **{**GRACE, **how})
    return made


def claim(trip: Trip, invitee: dict[str, Any]) -> int:
    """What the page's script reports."""
    data = {"event_uri": invitee["event"], "invitee_uri": invitee["uri"]}
    return trip.browser.submit(f"/bookings/{trip.ref}/scheduled", data).status_code


def dashboard(road: Road) -> Page:
    """The builder's first page."""
    return road.live.browser("ada").page("/dashboard")


@pytest.mark.parametrize("first", ["claim", "webhook"])
@pytest.mark.parametrize("utm_content", [None, "cut.off"])
def test_a_claim_without_reference(road: Road, first: str, utm_content: str | None) -> None:
    """The booking gets its time, whichever is first, and can be paid; the builder has nothing to do."""
    trip = road.book()
    with road.silence():
        invitee = schedule_without(road, utm_content=utm_content)
    if first == "webhook":
        road.resend("invitee.created", name_of(invitee["uri"]))
        assert dashboard(road).select("[data-unattached]")
    assert claim(trip, invitee) == 303
    road.resend("invitee.created", name_of(invitee["uri"]))
    assert trip.truth == ("scheduled", "none")
    assert trip.row.invitee_uri == invitee["uri"]
    assert not dashboard(road).select("[data-unattached]")
    trip.invitee = invitee
    trip.pay()
    assert trip.truth == ("confirmed", "paid")


@pytest.mark.any_database
@pytest.mark.parametrize("first", ["claim", "webhooks"])
@pytest.mark.parametrize("moves", [1, 2])
@pytest.mark.parametrize("by_host", [False, True])
def test_a_claim_after_a_reschedule(road: Road, first: str, moves: int, by_host: bool) -> None:
    """The browser was offline, and reports the first time when Calendly has another: the booking gets the newest one,
    whichever is first, and can be paid.
    """
    trip = road.book()
    with road.silence():
        old = trip.invitee = schedule_without(road)
    names = [name_of(old["uri"])]
    for _ in range(moves):
        trip.move(deliver=(), by_host=by_host)
        names.append(name_of(trip.invitee["uri"]))

    def deliver() -> None:
        road.resend("invitee.created", names[0])
        for before, after in itertools.pairwise(names):
            road.resend("invitee.canceled", before)
            road.resend("invitee.created", after)

    if first == "webhooks":
        deliver()
        assert len(dashboard(road).select("[data-unattached]")) == 1
    assert claim(trip, old) == 303
    deliver()
    assert trip.truth == ("scheduled", "none")
    assert trip.row.invitee_uri == trip.invitee["uri"]
    assert not dashboard(road).select("[data-unattached]")
    trip.pay()
    assert trip.truth == ("confirmed", "paid")
    assert trip.attention() is None


def test_a_claim_after_a_reschedule_and_a_cancellation(road: Road) -> None:
    """There is no time any more that it could attach."""
    trip = road.book()
    with road.silence():
        old = trip.invitee = schedule_without(road)
    trip.move(deliver=())
    road.live.hands.control(f"calendly/invitees/{name_of(trip.invitee['uri'])}/cancel")
    assert claim(trip, old) == 409
    assert trip.truth == ("pending", "none")


def test_a_claim_of_what_was_rescheduled_to_another_host(road: Road) -> None:
    """The newest invitee counts: its event is not the builder's any more."""
    trip = road.book()
    with road.silence():
        old = trip.invitee = schedule_without(road)
    trip.move(deliver=())
    store = road.live.hands.server.sandbox.store
    event = store.get("event", name_of(trip.invitee["event"]))
    assert event is not None
    store.put("event", event["id"], {**event, "user": "SBXKENJIMORI0002"})
    assert claim(trip, old) == 409


def test_a_second_claim_changes_nothing(road: Road) -> None:
    """A double click, or the page loaded again."""
    trip, invitee = road.book(), schedule_without(road)
    assert [claim(trip, invitee), claim(trip, invitee)] == [303, 303]
    assert trip.truth[0] == "scheduled"


@pytest.mark.parametrize(
    "how",
    [{"email": "somebody@example.org"}, {"event_type": HALF}],
    ids=["another address", "another session type"],
)
def test_what_does_not_fit_is_refused_and_shown(road: Road, how: dict[str, Any]) -> None:
    """The builder sees who it is, with Calendly's cancellation one click away, until it is canceled there."""
    with road.live.database() as session:
        builder = session.scalars(sa.select(Builder)).one()
        make_session_type(session, builder, event_type_uri=road.live.hands.event_type(HALF))
    trip = road.book()
    invitee = schedule_without(road, **how)
    assert claim(trip, invitee) == 409
    road.live.work()
    assert trip.truth[0] == "pending"
    shown = dashboard(road).one("[data-unattached]")
    assert "Grace Hall has a time without a booking here" in shown.text
    assert shown.select("a.button")[0]["href"] == invitee["cancel_url"]
    road.live.hands.control(f"calendly/invitees/{name_of(invitee['uri'])}/cancel")
    road.live.work()
    assert not dashboard(road).select("[data-unattached]")


def test_an_invitee_from_before_the_booking(road: Road) -> None:
    """It was scheduled for something else."""
    invitee = schedule_without(road)
    trip = road.book()
    assert claim(trip, invitee) == 409


def test_two_bookings_of_one_browser(road: Road) -> None:
    """Which of them is meant cannot be known."""
    first = road.book()
    form = {"name": "Grace Hall", "email": CLIENT, "timezone": "UTC"}
    answer = first.browser.submit(f"/builders/ada/session-types/{HOUR}/book", form)
    assert answer.status_code == 303
    assert claim(first, schedule_without(road)) == 409
    assert first.truth[0] == "pending"


def test_an_address_in_another_spelling(road: Road) -> None:
    """Calendly writes the domain in ASCII."""
    trip = road.book()
    trip.change(client_email="grace@müller.example")
    assert claim(trip, schedule_without(road, email="Grace@xn--mller-kva.example")) == 303
    assert trip.truth[0] == "scheduled"


def test_another_browser(road: Road) -> None:
    """Whoever has the link, but did not book here, proves nothing."""
    trip = road.book()
    trip.browser = road.live.browser()
    assert claim(trip, schedule_without(road)) == 409


def test_an_invitee_of_another_host(road: Road) -> None:
    """A session type is the builder's own, its event another's."""
    trip, invitee = road.book(), schedule_without(road)
    store = road.live.hands.server.sandbox.store
    event = store.get("event", name_of(invitee["event"]))
    assert event is not None
    store.put("event", event["id"], {**event, "user": "SBXKENJIMORI0002"})
    assert claim(trip, invitee) == 409


def test_another_bookings_reference(road: Road) -> None:
    """It is refused, however well the rest fits."""
    trip, theirs = road.book(), road.book()
    with road.live.database():
        content = services.get(TrackingSigner).sign(theirs.row.tracking_id)
    assert claim(trip, schedule_without(road, utm_content=content)) == 409


def test_what_is_not_priced_is_the_builders_own(road: Road) -> None:
    """Nobody has to pay for it."""
    schedule_without(road, FREE)
    road.live.work()
    assert not dashboard(road).select("[data-unattached]")


def test_the_builder_keeps_it(road: Road) -> None:
    """A friend's time; it is not shown again, and another builder cannot touch it."""
    road.live.builder("kenji", "SBXKENJIMORI0002", {"ETKENJICONSUL060": {}})
    schedule_without(road, name="A friend")
    road.live.work()
    number = dashboard(road).one("[data-unattached]")["data-unattached"]
    path = f"/dashboard/unattached/{number}/keep"
    assert press(road.live.browser("kenji"), path).status_code == 404
    ada = road.live.browser("ada")
    assert press(ada, path).status_code == 303
    page = ada.page("/dashboard")
    assert "The time stays in your calendar, without a payment." in page.one("[role=status]").text
    assert not page.select("[data-unattached]")


@pytest.mark.any_database
def test_the_reconciliation_finds_it_and_asks_once(road: Road) -> None:
    """No webhook came; its invitees are not fetched again and again."""
    with road.silence():
        schedule_without(road)
    for _ in range(2):
        road.live.hands.control("reset-requests")
        with road.live.app.app_context():
            reconcile_everything(db.session(), services.get(Context), now=utcnow())
        assert dashboard(road).select("[data-unattached]")
    assert road.live.calls("/invitees") == 0
