"""What the providers say, in whatever order and however often they say it."""

from __future__ import annotations

from urllib.parse import urlsplit

import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from bookingapp.webhooks.models import InboxEvent
from tests.waiting import eventually

from .road import PAID_ROAD
from .stack import Stack
from .visitor import Visitor

COMPLETED = "checkout.session.completed"


def inbox_states(stack: Stack, about: str) -> list[str]:
    """The states of the deliveries that speak of ``about``, once none of them waits."""
    return eventually(
        lambda: [str(row.state) for row in stack.inbox(about)],
        what="the deliveries to be applied",
        good=lambda states: bool(states) and not {"received", "processing", "failed"} & set(states),
    )


def delivered(stack: Stack, about: str, count: int, event: str = "") -> list[int]:
    """The last answers to ``count`` deliveries about ``about``, all of that event if one is given."""
    rows = eventually(
        lambda: [row for row in stack.deliveries(about) if row["attempts"] and event in ("", row["event"])],
        what=f"{count} deliveries",
        good=lambda rows: len(rows) >= count,
    )
    return [row["attempts"][-1]["status"] for row in rows]


def refusals(visitor: Visitor) -> dict[tuple[str, str], float]:
    """How many deliveries were refused, by provider and reason, whichever process of the server took them."""
    text = visitor.http.get(f"{visitor.stack.url}/metrics", timeout=10).text
    return {
        (sample.labels["provider"], sample.labels["reason"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "bookingapp_deliveries_refused_total"
    }


def test_scenario_03_browser_first_then_webhook(stack: Stack, visitor: Visitor) -> None:
    stack.fault("calendly", "delay", seconds=3600, remaining=1)
    booking = visitor.book()
    booking.take_time()
    page = booking.report_time()
    assert urlsplit(page.response.url).path == f"/bookings/{booking.ref}"
    assert visitor.truth(booking.ref).status == "scheduled"
    assert stack.inbox(booking.invitee_uri) == []

    stack.control("deliveries/retry", {})
    assert delivered(stack, booking.invitee_uri, 1) == [200]
    assert inbox_states(stack, booking.invitee_uri) == ["done"]
    assert stack.history(booking.ref) == PAID_ROAD[:2]


def test_scenario_05_the_browser_never_returns_or_late_as_in_scenario_04_and_scenario_07(
    stack: Stack, visitor: Visitor, another: Visitor
) -> None:
    """The webhooks alone schedule and confirm; what the browser reports afterwards changes nothing."""
    booking = visitor.book()
    booking.take_time()
    assert another.get(f"/bookings/{booking.ref}").status == 200
    eventually(lambda: stack.history(booking.ref), what="a time", good=PAID_ROAD[:2].__eq__)
    page = booking.report_time()
    assert urlsplit(page.response.url).path == f"/bookings/{booking.ref}"
    assert page.one("#pay-button").get_text(strip=True) == "Pay £60.00"
    assert stack.history(booking.ref) == PAID_ROAD[:2]

    checkout = booking.open_checkout()
    booking.pay_and_vanish(checkout)
    eventually(lambda: stack.history(booking.ref), what="a confirmation", good=PAID_ROAD.__eq__)
    session = urlsplit(checkout).path.rsplit("/", 1)[-1]
    page = visitor.get(f"/bookings/{booking.ref}/paid?session_id={session}")
    assert page.one("#booking-status")["data-booking-status"] == "confirmed"
    assert stack.history(booking.ref) == PAID_ROAD
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]


def test_scenario_10_duplicates_and_scenario_11_one_fact_under_two_ids(
    stack: Stack, visitor: Visitor
) -> None:
    """Stripe tells of one payment by the session and by its intent."""
    stack.fault("calendly", "duplicate")
    stack.fault("stripe", "duplicate")
    booking = visitor.book()
    booking.confirm()
    inbox_states(stack, booking.ref)
    kept = len(stack.inbox(booking.ref)) + len(stack.inbox(booking.invitee_uri))
    stack.clear_faults()

    (created, *_) = stack.deliveries(booking.invitee_uri)
    assert {COMPLETED, "payment_intent.succeeded"} <= {row["event"] for row in stack.deliveries(booking.ref)}
    completed = next(row for row in stack.deliveries(booking.ref) if row["event"] == COMPLETED)
    for row in (created, completed):
        for _ in range(3):
            stack.control(f"deliveries/{row['id']}/resend", {})
    # Each was sent twice by the fault and three times by hand.
    assert delivered(stack, booking.invitee_uri, 5) == [200] * 5
    assert delivered(stack, booking.ref, 5, COMPLETED) == [200] * 5
    assert len(stack.inbox(booking.ref)) + len(stack.inbox(booking.invitee_uri)) == kept
    assert visitor.truth(booking.ref).status == "confirmed"
    assert stack.history(booking.ref) == PAID_ROAD
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]


def test_scenario_08_redirect_and_webhook_together(stack: Stack, visitor: Visitor) -> None:
    """The delivery and the question to Stripe are both due when the worker comes, which has a thread for each."""
    booking = visitor.book()
    booking.schedule()
    checkout = booking.open_checkout()
    stack.kill("worker")
    try:
        booking.pay_on_page(checkout)
        eventually(lambda: stack.inbox(booking.ref), what="the delivery to be kept")
        check = f"check:{stack.payment_id(booking.ref)}:return:"
        stack.hurry_jobs(check)
        assert visitor.truth(booking.ref).status == "scheduled"
    finally:
        stack.spawn("worker")
    booking.wait("confirmed", "paid")
    inbox_states(stack, booking.ref)
    eventually(
        lambda: {str(job.state) for job in stack.jobs(check)},
        what="the questions to be over",
        good=lambda states: states == {"done"},
    )
    assert stack.history(booking.ref) == PAID_ROAD
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]


def test_scenario_12_worker_killed_between_delivery_and_application(stack: Stack, visitor: Visitor) -> None:
    booking = visitor.book()
    booking.schedule()
    checkout = booking.open_checkout()
    stack.kill("worker")
    try:
        booking.pay_and_vanish(checkout)
        waiting = eventually(
            lambda: [str(row.state) for row in stack.inbox(booking.ref) if row.type.startswith("checkout.")],
            what="the delivery to be kept",
        )
        assert waiting == ["received"]
        assert visitor.truth(booking.ref).status == "scheduled"
    finally:
        stack.spawn("worker")
    booking.wait("confirmed", "paid")
    assert stack.history(booking.ref) == PAID_ROAD
    assert stack.ledger(booking.ref) == [("charge", 6000, "GBP")]


def test_scenario_14_forged_deliveries_are_refused(stack: Stack, visitor: Visitor) -> None:
    booking = visitor.book()
    booking.schedule()
    (genuine,) = stack.deliveries(booking.invitee_uri)
    before, counted = len(stack.query(sa.select(InboxEvent.id))), refusals(visitor)
    signatures = (None, "v1=" + "0" * 64, "t=1700000000,v1=" + "0" * 64, "t=soon,v1=zz", "t=1700000000")
    for who, header in (("calendly", "Calendly-Webhook-Signature"), ("stripe", "Stripe-Signature")):
        for signature in signatures:
            url, headers = f"{stack.url}/webhooks/{who}", {header: signature}
            answer = visitor.http.post(url, data=genuine["body"].encode(), headers=headers, timeout=10)
            assert answer.status_code in (400, 401), (who, signature)
    now = refusals(visitor)
    grown = {key: now[key] - counted[key] for key in now if now[key] != counted[key]}
    assert grown == {
        (who, reason): times
        for who in ("calendly", "stripe")
        for reason, times in {"missing": 1, "malformed": 3, "mismatch": 1}.items()
    }
    assert len(stack.query(sa.select(InboxEvent.id))) == before
    assert stack.history(booking.ref) == PAID_ROAD[:2]


def test_scenario_40_a_time_of_another_session_type(stack: Stack, visitor: Visitor) -> None:
    """The tracking is genuine and one's own, but the time was taken for something cheaper."""
    booking = visitor.book(session_type="ETADADEEPDIVE090")
    booking.session_type = "ETADAGETSTART030"
    booking.take_time()
    assert booking.report_time().status == 409
    eventually(
        lambda: [str(row.state) for row in stack.inbox(booking.invitee_uri)],
        what="the time to be given back: one delivery of its making, one of its cancellation",
        good=lambda states: states == ["done", "done"],
    )
    seen = visitor.truth(booking.ref)
    assert seen.status == "pending"
    assert seen.attention is not None
    assert stack.history(booking.ref) == [">pending"]


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
