"""Random bodies to the webhook endpoints: never a 5xx, and no effect without a signature."""

from __future__ import annotations

import itertools
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from bookingapp.bookings.models import Booking, HistoryEntry
from bookingapp.bookings.states import TABLE, Status
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.core import services
from bookingapp.core.claims import Batch
from bookingapp.core.db import Base, db
from bookingapp.core.queue import OPEN, Job
from bookingapp.outcomes import Failure
from bookingapp.payments.models import LedgerEntry, Payment
from bookingapp.webhooks import tasks
from bookingapp.webhooks.handlers import Context
from bookingapp.webhooks.models import InboxEvent, Provider
from bookingapp.webhooks.views import LARGEST_BODY
from tests import fakes
from tests.conftest import SIGNING_KEY, STRIPE_HOOK_SECRET
from tests.factories import facts, invitee_delivery, make_booking, reread, schedule, signature
from tests.pages import PageClient

from .odd_bodies import bodies, each_text_spoiled, envelopes, spoiled

KEYS = {Provider.CALENDLY: SIGNING_KEY, Provider.STRIPE: STRIPE_HOOK_SECRET}
HEADERS = {Provider.CALENDLY: "Calendly-Webhook-Signature", Provider.STRIPE: "Stripe-Signature"}
# Any text that a header can carry, and forged signatures.
FORGED = st.one_of(
    st.none(),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=80),
    st.from_regex(r"t=[0-9]{1,14},v1=[0-9a-f]{0,70}(,v[01]=[0-9a-f]{64}){0,3}", fullmatch=True),
    st.text(max_size=10).map(lambda key: signature(b"{}", key)),
    st.binary(max_size=20).map(lambda body: signature(body + b"of another body", SIGNING_KEY)),
)
# A longer search by hand: ENDURANCE_EXAMPLES=5000 (see CONTRIBUTING.md).
EXAMPLES = int(os.environ.get("ENDURANCE_EXAMPLES") or 25)
FUZZ = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    # The fixtures are made once for all examples; what one leaves behind is part of the next one's world.
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)


@dataclass
class Endpoints:
    """The application behind its two endpoints, and what must not change because of them."""

    app: Flask
    client: PageClient

    def send(self, provider: Provider, body: bytes, header: str | None) -> TestResponse:
        headers = {"Content-Type": "application/json"}
        if header is not None:
            headers[HEADERS[provider]] = header
        answer = self.client.post(f"/webhooks/{provider}", data=body, headers=headers)
        assert answer.is_json, answer.text
        return answer

    def keep(self, provider: Provider, body: bytes) -> None:
        """One that is signed: it is kept as it came, or a delivery of the same happening is there already."""
        before = self.count()
        answer = self.send(provider, body, signature(body, KEYS[provider]))
        if len(body) > LARGEST_BODY:
            assert answer.status_code == 413
            return
        assert answer.status_code == 200, answer.text
        is_new = not (answer.json or {})["duplicate"]
        assert self.count() == before + is_new
        if is_new:
            with self.app.app_context():
                newest = sa.select(InboxEvent.body).order_by(InboxEvent.id.desc()).limit(1)
                assert db.session().scalar(newest) == body

    def count(self) -> int:
        with self.app.app_context():
            return db.session().scalar(sa.select(sa.func.count()).select_from(InboxEvent)) or 0

    def apply(self) -> None:
        """Everything, for as long as it is tried again; none of it may surprise us."""
        with self.app.app_context():
            context = services.get(Context)
            days = itertools.count(1)
            hand = Batch(InboxEvent)
            while tasks.apply_next(
                db.session(), context, hand, clock=lambda: datetime.now(UTC) + timedelta(days=next(days))
            ):
                pass
            surprising = sa.or_(sa.text(OPEN), InboxEvent.outcome.in_((Failure.UNEXPECTED, Failure.DATABASE)))
            columns = (InboxEvent.state, InboxEvent.outcome, InboxEvent.body)
            assert db.session().execute(sa.select(*columns).where(surprising)).all() == []

    def truth(self) -> list[Any]:
        """Every booking, history entry, payment, ledger entry and job."""
        with self.app.app_context():
            session = db.session()
            models = (Booking, HistoryEntry, Payment, LedgerEntry, Job)
            tables = [Base.metadata.tables[one.__tablename__] for one in models]
            return [session.execute(sa.select(table)).all() for table in tables]


@pytest.fixture
def endpoints(
    app: Flask, client: PageClient, session: Session, stripe_wire: fakes.Stripe, calendly_wire: fakes.Calendly
) -> Endpoints:
    """With a booking that waits for its time, one that waits for its payment, and providers who know nothing."""
    make_booking(session)
    schedule(session, make_booking(session))
    return Endpoints(app, client)


@pytest.mark.any_database
@pytest.mark.parametrize("provider", list(Provider))
@FUZZ
@given(data=st.data())
def test_whatever_is_signed_is_kept_and_moves_nothing_of_others(
    endpoints: Endpoints, provider: Provider, data: st.DataObject
) -> None:
    before = endpoints.truth()
    endpoints.keep(provider, data.draw(bodies(provider)))
    endpoints.apply()
    assert endpoints.truth() == before


@pytest.mark.any_database
@pytest.mark.parametrize("event", ["invitee.created", "invitee.canceled"])
@FUZZ
@given(data=st.data())
def test_what_is_odd_about_a_booking_of_ours_is_no_surprise(
    endpoints: Endpoints, session: Session, event: str, data: st.DataObject
) -> None:
    """Nearly right, genuine, and about a booking: it may move that one, and by the table alone."""
    booking = make_booking(session)
    slot = facts(booking)
    if event == "invitee.canceled":
        schedule(session, booking, name=slot.invitee_uri.rsplit("/", 1)[-1])
    content = services.get(TrackingSigner).sign(booking.tracking_id)
    right = json.loads(invitee_delivery(event, slot, utm_content=content))
    endpoints.keep(Provider.CALENDLY, data.draw(spoiled(right)))
    endpoints.apply()
    with endpoints.app.app_context():
        steps = db.session().scalars(sa.select(HistoryEntry).order_by(HistoryEntry.id)).all()
    for step in steps:
        if step.from_status is not None and step.event is not None:
            assert TABLE[step.from_status][step.event] == step.to_status


@pytest.mark.any_database
@pytest.mark.parametrize("event", ["invitee.created", "invitee.canceled"])
def test_a_booking_of_ours_gets_its_time_whatever_else_cannot_be_kept(
    endpoints: Endpoints, session: Session, event: str
) -> None:
    """One text after the other is unfit for a database. What the booking hangs on may be refused, with a reason."""
    booking = make_booking(session)
    slot = facts(booking)
    content = services.get(TrackingSigner).sign(booking.tracking_id)
    right = json.loads(invitee_delivery(event, slot, utm_content=content))
    for body in each_text_spoiled(right):
        endpoints.keep(Provider.CALENDLY, body)
    endpoints.apply()
    found = reread(session, booking)
    assert found.status is (Status.SCHEDULED if event == "invitee.created" else Status.PENDING)
    if event == "invitee.created":
        assert found.cancel_url == right["payload"]["cancel_url"]


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("provider", "kind"),
    [
        (Provider.CALENDLY, "event_type.updated"),
        (Provider.STRIPE, "checkout.session.completed"),
        (Provider.STRIPE, "refund.created"),
        (Provider.STRIPE, "charge.dispute.created"),
    ],
)
def test_texts_that_no_database_takes_are_no_surprise(
    endpoints: Endpoints, provider: Provider, kind: str
) -> None:
    before = endpoints.truth()
    (right,) = [body for body in envelopes(provider) if kind in (body.get("event"), body.get("type"))]
    for body in each_text_spoiled(right):
        endpoints.keep(provider, body)
    endpoints.apply()
    assert endpoints.truth() == before


@pytest.mark.any_database
@pytest.mark.parametrize("provider", list(Provider))
@FUZZ
@given(data=st.data())
def test_whatever_is_not_signed_is_refused(
    endpoints: Endpoints, provider: Provider, data: st.DataObject
) -> None:
    before, count = endpoints.truth(), endpoints.count()
    body, header = data.draw(bodies(provider)), data.draw(FORGED)
    answer = endpoints.send(provider, body, header)
    assert answer.status_code in ((413,) if len(body) > LARGEST_BODY else (400, 401))
    assert endpoints.count() == count
    assert endpoints.truth() == before
