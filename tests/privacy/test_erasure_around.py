"""What an erasure finds beside bookings: times booked in Calendly directly, deliveries that belong to no booking."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from bookingapp.bookings.models import UnattachedInvitee
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.core.settings import Settings
from bookingapp.privacy.models import ErasureRequest, Result
from bookingapp.privacy.retention import delete_old_data
from bookingapp.webhooks.models import InboxEvent, Provider
from tests.factories import inbox_row
from tests.life.road import CLIENT, Road, name_of
from tests.life.test_without_reference import dashboard, schedule_without
from tests.privacy.conftest import places_of, sign_in
from tests.privacy.test_erasure import ERASE, completed_quickly


def names_left(road: Road) -> list[str]:
    """Where the database still names Grace."""
    with road.live.database() as session:
        return sorted(set(places_of(session, CLIENT, "Grace Hall")))


@pytest.mark.any_database
def test_a_time_ahead_that_was_booked_directly_stays_without_a_name(road: Road, settings: Settings) -> None:
    """The builder still sees that somebody comes and can cancel it; Calendly's next word brings no name back; once it
    is over, nothing of it is left.
    """
    completed_quickly(road)
    invitee = schedule_without(road)
    road.live.work()
    assert "Grace Hall has a time" in dashboard(road).words
    grace = sign_in(road.live, road.mails)
    assert "the session that you booked in Calendly directly" in grace.page(ERASE).words
    assert grace.submit(ERASE, {"sure": "y"}).status_code == 303
    road.live.work()

    assert names_left(road) == []
    shown = dashboard(road).one("[data-unattached]")
    assert "Somebody has a time without a booking here" in shown.text
    assert "The client asked us to erase their data, and is still expected" in shown.text
    assert shown.select("a.button")[0]["href"] == invitee["cancel_url"]
    assert not shown.select("a[href^='mailto:']")

    reconcile(road)
    assert names_left(road) == []
    with road.live.database() as session:
        later = utcnow() + timedelta(days=60)
        delete_old_data(session, settings, now=later)
        assert session.scalars(sa.select(UnattachedInvitee)).all() == []


def test_one_that_was_canceled_or_is_over_goes(road: Road) -> None:
    """Nobody comes, so nobody has to know."""
    completed_quickly(road)
    invitee = schedule_without(road)
    road.live.work()
    road.live.hands.control(f"calendly/invitees/{invitee['uri'].rsplit('/', 1)[1]}/cancel")
    road.live.work()
    grace = sign_in(road.live, road.mails)
    assert "in Calendly directly" not in grace.page(ERASE).words
    assert grace.submit(ERASE, {"sure": "y"}).status_code == 303
    with road.live.database() as session:
        assert session.scalars(sa.select(UnattachedInvitee)).all() == []


@pytest.mark.any_database
@pytest.mark.parametrize(("enterprise", "result"), [(True, Result.ACCEPTED), (False, Result.BY_HAND)])
def test_calendly_erases_who_only_booked_there_directly(
    road: Road, result: Result, *, enterprise: bool
) -> None:
    """There is no booking here, and Calendly has the name all the same. What it refuses keeps no address here."""
    road.live.hands.control("settings", enterprise=enterprise)
    invitee = schedule_without(road)
    road.live.work()
    grace = sign_in(road.live, road.mails)
    assert grace.page("/my-bookings").select(f"a[href='{ERASE}']")
    assert grace.submit(ERASE, {"sure": "y"}).status_code == 303
    road.live.work()
    there = road.live.hands.server.sandbox.store.get("invitee", name_of(invitee["uri"]))
    assert there is not None
    assert (there["email"] == "") is enterprise
    assert names_left(road) == []
    assert open_requests(road) == []
    with road.live.database() as session:
        found = session.scalars(sa.select(ErasureRequest.result)).all()
    assert sorted(filter(None, found)) == sorted([result, Result.DONE])


@pytest.mark.any_database
def test_calendly_is_asked_once_for_bookings_and_direct_times(road: Road) -> None:
    """Both are in one account."""
    road.live.hands.control("settings", enterprise=True)
    completed_quickly(road)
    schedule_without(road)
    road.live.work()
    grace = sign_in(road.live, road.mails)
    assert grace.submit(ERASE, {"sure": "y"}).status_code == 303
    road.live.work()
    with road.live.database() as session:
        found = session.scalars(sa.select(ErasureRequest.result)).all()
    assert sorted(filter(None, found)) == sorted([Result.ACCEPTED, Result.DONE])


def reconcile(road: Road) -> None:
    """Compare with both providers, as happens every hour."""
    assert road.live.runner().invoke(args=["bookings", "reconcile"]).exit_code == 0


@pytest.mark.any_database
def test_a_delivery_that_is_not_applied_yet_loses_its_body_when_it_is(road: Road) -> None:
    """It belongs to no booking and names the address: it is still applied, and the address kept until then."""
    completed_quickly(road)
    body = json.dumps({"email": CLIENT}).encode()
    later = utcnow() + timedelta(hours=1)
    values = inbox_row(
        "late", provider=Provider.CALENDLY, type="of.nothing", body=body, state="failed", run_at=later
    )
    with road.live.database() as session, transaction(session):
        session.add(InboxEvent(**values))
    grace = sign_in(road.live, road.mails)
    assert grace.submit(ERASE, {"sure": "y"}).status_code == 303
    road.live.work()
    mine = sa.select(InboxEvent).where(InboxEvent.event_key == "late")
    with road.live.database() as session:
        assert session.scalars(mine).one().body == body
    assert open_requests(road) == [None]
    with road.live.database() as session, transaction(session):
        session.execute(sa.update(InboxEvent).where(InboxEvent.event_key == "late").values(run_at=utcnow()))
    road.live.work()
    road.let_pass("erase:")
    with road.live.database() as session:
        assert session.scalars(mine).one().body is None
        assert session.scalars(sa.select(ErasureRequest.result)).all().count(Result.DONE) == 1
    assert open_requests(road) == []
    assert names_left(road) == []


def open_requests(road: Road) -> list[Result | None]:
    """The results of the erasures whose address is still kept."""
    with road.live.database() as session:
        return list(
            session.scalars(sa.select(ErasureRequest.result).where(ErasureRequest.address.is_not(None)))
        )
