"""Genuine events of Stripe's that are none of ours: acknowledged, noted as what they are, and no alarm to anybody."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from bookingapp import worker
from bookingapp.core.db import db
from bookingapp.core.queue import WorkState
from bookingapp.integrations.stripe_gateway import is_live_key
from bookingapp.operations.words import describe
from bookingapp.webhooks.models import DeliveryOutcome, InboxEvent
from tests import fakes
from tests.conftest import STRIPE_HOOK_SECRET
from tests.factories import PASSWORD, make_builder, published, signature, stripe_event
from tests.pages import PageClient
from tests.service.jobs import newest_delivery


def event(**values: Any) -> bytes:
    """An event about a Checkout Session, with other values in its envelope."""
    body = json.loads(
        stripe_event("checkout.session.completed", published("stripe/checkout_session.paid.json"))
    )
    return json.dumps({**body, **values}).encode()


def receive(app: Flask, client: PageClient, body: bytes) -> InboxEvent:
    """Stripe delivers it, and it is applied; its row of the inbox."""
    headers = {"Stripe-Signature": signature(body, STRIPE_HOOK_SECRET)}
    assert client.post("/webhooks/stripe", data=body, headers=headers).status_code == 200
    worker.run_due(app)
    with app.app_context():
        return newest_delivery(db.session())


@pytest.mark.parametrize(
    ("body", "code", "hint"),
    [
        (event(livemode=True), DeliveryOutcome.LIVE_EVENT, "our key is a test key"),
        (event(account="acct_1Other"), DeliveryOutcome.OTHER_ACCOUNT, "the connected account acct_1Other"),
        (
            json.dumps(published("stripe/event.thin.json")).encode(),
            DeliveryOutcome.THIN_EVENT,
            "v1.billing.meter.error_report_triggered",
        ),
        (event(), DeliveryOutcome.UNKNOWN_TO_STRIPE, "key and endpoint are of one account"),
    ],
    ids=["other mode", "other account", "thin", "unknown to Stripe"],
)
def test_it_is_noted_as_what_it_is(
    app: Flask, client: PageClient, stripe_wire: fakes.Stripe, body: bytes, code: DeliveryOutcome, hint: str
) -> None:
    """Ignored and never dead, with a hint for the operator; twice the same one is one row."""
    row = receive(app, client, body)
    assert (row.state, row.outcome, row.attempts) == (WorkState.IGNORED, code, 1)
    assert hint in describe(row.outcome, row.outcome_facts)
    assert receive(app, client, body).id == row.id
    if code is not DeliveryOutcome.UNKNOWN_TO_STRIPE:
        assert stripe_wire.seen == []


def test_no_builder_reads_that_webhooks_are_not_working(
    app: Flask, client: PageClient, stripe_wire: fakes.Stripe
) -> None:
    """Of the inbox, the page of the connection says that everything is applied."""
    for body in (event(livemode=True), event(account="acct_1Other", id="evt_2"), event(id="evt_3")):
        receive(app, client, body)
    with app.app_context():
        make_builder(db.session(), slug="ada")
    client.submit("/login", {"email": "ada@example.com", "password": PASSWORD})
    said = client.page("/dashboard/connection").words
    assert "Every event from Calendly and Stripe is applied." in said


@pytest.mark.parametrize(
    ("key", "is_live"),
    [
        ("sk_live_1", True),
        ("rk_live_1", True),
        ("sk_test_1", False),
        ("rk_test_1", False),
        ("", None),
        ("x", None),
    ],
)
def test_the_mode_of_a_key(key: str, is_live: bool | None) -> None:
    """As Stripe writes it into its keys; any other says nothing, and no event is refused for it."""
    assert is_live_key(key) is is_live
