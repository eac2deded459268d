"""What a client can send that is not theirs, not true or not allowed, and what comes of it: nothing."""

from __future__ import annotations

import pytest

from tests.waiting import eventually

from .stack import Stack
from .visitor import Visitor

pytestmark = pytest.mark.xdist_group("e2e-deliveries")

ADA = "ada-okonkwo"
REFUSED = {403, 404, 409, 422}


@pytest.mark.parametrize("webhook", ["arrived", "missing"])
def test_scenario_40_foreign_invitee(stack: Stack, visitor: Visitor, another: Visitor, webhook: str) -> None:
    victim = visitor.book(ADA, "ETADACONSULT0060")
    if webhook == "missing":
        stack.fault("calendly", "drop", remaining=1)
        victim.take_time()
    else:
        victim.schedule()
    before = stack.history(victim.ref)
    attacker = another.book(ADA, "ETADACONSULT0060")
    attacker.event_uri, attacker.invitee_uri = victim.event_uri, victim.invitee_uri

    page = attacker.report_time()
    assert page.status in REFUSED
    assert visitor.email not in page.response.text
    assert visitor.name not in page.response.text
    assert another.truth(attacker.ref).status == "pending"
    assert stack.history(victim.ref) == before

    # The victim can still report the same time.
    assert victim.report_time().status == 200
    assert visitor.truth(victim.ref).status == "scheduled"


def test_scenario_40_addresses_that_are_not_calendlys(stack: Stack, visitor: Visitor) -> None:
    booking = visitor.book(ADA, "ETADACONSULT0060")
    stack.fault("calendly", "drop", remaining=1)
    booking.take_time()
    good_event, good_invitee = booking.event_uri, booking.invitee_uri
    stack.control("reset-requests", {})
    for event_uri, invitee_uri in (
        ("", ""),
        ("https://evil.example/scheduled_events/A", "https://evil.example/scheduled_events/A/invitees/B"),
        (good_event, good_invitee.replace(stack.sandbox_url, "http://169.254.169.254")),
        (f"{good_event}/../../users/me", good_invitee),
        (good_event, good_invitee.replace("/scheduled_events/", "/../scheduled_events/")),
        (good_event[:-1] + ("0" if good_event[-1] != "0" else "1"), good_invitee),
        (good_event, f"{good_event}/invitees/00000000-0000-4000-8000-000000000000"),
    ):
        booking.event_uri, booking.invitee_uri = event_uri, invitee_uri
        assert booking.report_time().status in REFUSED, (event_uri, invitee_uri)
        assert visitor.truth(booking.ref).status == "pending"
    # Only the last pair was well formed, so only that was asked for.
    assert [path.split("/invitees/")[-1] for _, path in stack.provider_calls()] == [
        "00000000-0000-4000-8000-000000000000"
    ]
    booking.event_uri, booking.invitee_uri = good_event, good_invitee
    assert booking.report_time().status == 200
    assert visitor.truth(booking.ref).status == "scheduled"


def test_scenario_40_a_time_of_another_session_type(stack: Stack, visitor: Visitor) -> None:
    """The tracking is genuine and one's own, but the time was taken for something cheaper."""
    booking = visitor.book(ADA, "ETADADEEPDIVE090")
    booking.session_type = "ETADAGETSTART030"
    booking.take_time()
    assert booking.report_time().status in REFUSED
    eventually(
        lambda: [str(row.state) for row in stack.inbox(booking.invitee_uri)],
        what="the time to be given back: one delivery of its making, one of its cancellation",
        good=lambda states: states == ["done", "done"],
    )
    seen = visitor.truth(booking.ref)
    assert seen.status == "pending"
    assert seen.attention is not None
    assert stack.history(booking.ref) == [">pending"]


def test_scenario_41_unknown_references_are_404(stack: Stack, visitor: Visitor) -> None:
    booking = visitor.book(ADA, "ETADACONSULT0060")
    unknown = "A" * len(booking.ref)
    answers = []
    for ref in (unknown, booking.ref[:-1], booking.ref + "A", booking.ref.swapcase(), "%2e%2e", "'--"):
        for below in ("", "/status", "/schedule", "/session.ics", "/paid"):
            page = visitor.get(f"/bookings/{ref}{below}")
            assert page.status == 404, (ref, below)
            assert "data-booking-status" not in page.response.text
            answers.append(page.one("h1").get_text(strip=True))
        for below in ("/pay", "/scheduled"):
            assert visitor.post(f"/bookings/{ref}{below}").status == 404, (ref, below)
    assert set(answers) == {"Not found"}


def test_scenario_43_tampered_form_fields_are_ignored(stack: Stack, visitor: Visitor) -> None:
    evil = {
        "status": "paid",
        "target_state": "confirmed",
        "price": "1",
        "price_minor": "1",
        "amount": "1",
        "currency": "JPY",
        "return_url": "https://evil.example/",
        "next": "https://evil.example/",
        "success_url": "https://evil.example/",
        "ref": "chosen-by-me",
    }
    booking = visitor.book(ADA, "ETADACONSULT0060", extra=evil)
    assert booking.ref != "chosen-by-me"
    assert visitor.truth(booking.ref).status == "pending"
    booking.schedule()
    page = visitor.post(f"/bookings/{booking.ref}/pay", evil, allow_redirects=False)
    assert page.response.headers["Location"].startswith(f"{stack.sandbox_url}/stripe-checkout/")
    (session,) = stack.checkout_sessions(booking.ref)
    assert (session["amount_total"], session["currency"]) == (6000, "gbp")
    for name in ("success_url", "cancel_url"):
        assert session[name].startswith(f"{stack.url}/bookings/{booking.ref}")
    for below in ("", "/status", "/paid"):
        answer = visitor.get(f"/bookings/{booking.ref}{below}", params=evil)
        assert answer.response.url.startswith(stack.url)
        assert visitor.truth(booking.ref).status == "scheduled"
    assert stack.history(booking.ref) == [">pending", "pending>scheduled"]


def test_scenario_43_forms_without_their_token_are_refused(stack: Stack, visitor: Visitor) -> None:
    booking = visitor.book(ADA, "ETADACONSULT0060")
    booking.schedule()
    visitor.token = ""
    for below in ("pay", "scheduled"):
        assert visitor.post(f"/bookings/{booking.ref}/{below}", allow_redirects=False).status == 400
    assert stack.checkout_sessions(booking.ref) == []


def test_scenario_44_forged_success_url_changes_nothing(
    stack: Stack, visitor: Visitor, another: Visitor
) -> None:
    paid = visitor.book(ADA, "ETADACONSULT0030")
    paid.confirm()
    (foreign,) = stack.checkout_sessions(paid.ref)
    booking = another.book(ADA, "ETADACONSULT0060")
    booking.schedule()
    booking.open_checkout()
    for session in ("cs_test_forged", foreign["id"], "", "<script>alert(1)</script>"):
        page = another.get(f"/bookings/{booking.ref}/paid", params={"session_id": session})
        assert page.response.url == f"{stack.url}/bookings/{booking.ref}"
        found = page.one("#booking-status")
        assert (found["data-booking-status"], found["data-payment-status"]) == ("scheduled", "open")
        assert session == "" or session not in page.response.text
    # The visit makes the application ask Stripe, which knows of no payment; then paying is possible again.
    stack.hurry_jobs(f"check:{stack.payment_id(booking.ref)}:return:")
    eventually(
        lambda: {str(job.state) for job in stack.jobs(f"check:{stack.payment_id(booking.ref)}:return:")},
        what="Stripe to be asked",
        good=lambda states: states == {"done"},
    )
    assert stack.history(booking.ref) == [">pending", "pending>scheduled"]
    assert stack.ledger(booking.ref) == []
    another.get(f"/bookings/{booking.ref}").one("#pay-button")


def test_what_is_typed_wrong_is_said_and_kept(stack: Stack, visitor: Visitor) -> None:
    address = f"/builders/{ADA}/session-types/ETADACONSULT0060"
    visitor.token = str(visitor.get(address).one("[name=csrf_token]")["value"])
    page = visitor.post(f"{address}/book", {"name": "  ", "email": "no address"})
    assert page.status == 422
    assert page.one("[name=email]")["value"] == "no address"
    assert page.one("[name=email]")["aria-invalid"] == "true"
    assert page.one("[name=name]")["aria-invalid"] == "true"
