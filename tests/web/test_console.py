"""The operators' console: what needs a person and settling it, the record of what operators did."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from bookingapp.accounts.codes import SecurityCode
from bookingapp.accounts.models import Account, SecurityEvent
from bookingapp.bookings.codes import ATTENDANCE_FLAGS, FlagCode
from bookingapp.bookings.models import AttentionFlag, Booking, UnattachedInvitee
from bookingapp.bookings.states import Status
from bookingapp.connections.audit import record_audit
from bookingapp.connections.models import AuditKind, CalendlyConnection, ConnectionState
from bookingapp.console.acts import Decision, record_act
from bookingapp.console.models import ActCode, OperatorAct, SubjectKind
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.queue import Job, WorkState
from bookingapp.onboarding.invitations import invite
from bookingapp.onboarding.models import Application
from bookingapp.webhooks.models import InboxEvent
from tests.factories import inbox_row
from tests.pages import HTMX, PageClient, parse
from tests.web.conftest import Book, Offer, promote
from tests.web.test_deliveries import give_profile_away

REASON = {"reason": "The client wrote to us."}


def flag(app: Flask, booking: Booking, code: FlagCode, *, hours: int = 1, **facts: Any) -> None:
    at = utcnow() - timedelta(hours=hours)
    with app.app_context(), transaction(db.session()) as session:
        session.add(AttentionFlag(booking_id=booking.id, code=code, facts=facts, raised_at=at))


def add_job(app: Flask, name: str, **how: Any) -> int:
    now = utcnow()
    values: dict[str, Any] = {
        "state": WorkState.DEAD,
        "run_at": now,
        "attempts": 8,
        "outcome": "unavailable",
        "outcome_facts": {},
        "finished_at": now - timedelta(hours=2),
        "args": {},
        **how,
    }
    with app.app_context(), transaction(db.session()) as session:
        job = Job(name=name, key=f"{name}-{now.timestamp()}", created_at=now, **values)
        session.add(job)
        session.flush()
        return job.id


REF = "5e0c9d7a41b24f3f8f6f2f0c9d7a41b2"


def add_delivery(app: Flask, **how: Any) -> int:
    now = utcnow()
    values: dict[str, Any] = {
        "state": WorkState.DEAD,
        "attempts": 8,
        "outcome": "unavailable",
        "outcome_facts": {"error": "StripeUnavailable", "try": 8},
        "finished_at": now - timedelta(hours=3),
        "body": b'{"email": "grace@example.org"}',
        **how,
    }
    with app.app_context(), transaction(db.session()) as session:
        event = InboxEvent(**inbox_row(f"evt_{now.timestamp()}", **values))
        session.add(event)
        session.flush()
        return event.id


def acts(app: Flask) -> list[OperatorAct]:
    with app.app_context():
        return list(db.session().scalars(sa.select(OperatorAct).order_by(OperatorAct.id)))


def send(browser: PageClient, path: str, data: dict[str, str], **how: Any) -> TestResponse:
    """Post a form, with the token of another page."""
    return browser.post(path, data={"csrf_token": browser.token("/operator/state"), **data}, **how)


def codes(browser: PageClient, path: str = "/operator") -> list[str]:
    return [str(one["data-attention"]) for one in browser.page(path).select("main li[data-attention]")]


def test_an_operator_lands_on_the_console(app: Flask, ada: Offer, operator: PageClient) -> None:
    """One without a builder's profile; a builder who is an operator too has the dashboard and a link to the console."""
    browser = operator
    assert [link["href"] for link in browser.page("/dashboard").select("header a[href='/operator']")]
    give_profile_away(app, ada)
    answer = browser.get("/dashboard")
    assert (answer.status_code, answer.location) == (303, "/operator")
    page = browser.page("/operator")
    assert page.one("h1").text == "To do"
    assert not page.select("header a[href='/dashboard']")
    assert "Nothing needs you" in page.words


def test_the_log_in_leads_back_to_the_console(app: Flask, ada: Offer, client: PageClient) -> None:
    promote(app, ada)
    answer = client.get("/operator")
    assert (answer.status_code, answer.location) == (303, "/login?next=/operator?")


class TestToDo:
    """What needs a person, over all builders."""

    def test_money_first_then_times_then_the_rest(
        self, app: Flask, operator: PageClient, kenji: Offer, book: Book
    ) -> None:
        """In each the oldest first, whoever's booking it is."""
        flag(app, book(), FlagCode.MAIL_NOT_SENT, hours=90)
        flag(app, book(offer=kenji), FlagCode.TYPE_WITHDRAWN, hours=50)
        flag(app, book(), FlagCode.REFUND_REFUSED, hours=1)
        flag(app, book(offer=kenji), FlagCode.WRONG_AMOUNT, hours=4)
        add_delivery(app)
        add_job(app, "connections.revoke")
        assert codes(operator) == [
            "wrong_amount",
            "delivery_dead",
            "refund_refused",
            "type_withdrawn",
            "mail_not_sent",
            "job_dead",
        ]
        page = operator.page("/operator")
        first = page.select("li[data-attention]")[0]
        assert "Grace Hall with Kenji Mori" in " ".join(first.get_text(" ").split())
        assert "open for 4 hours" in " ".join(first.get_text(" ").split())
        assert codes(operator, "/operator?topic=times") == ["type_withdrawn"]
        assert [one.text for one in page.select(".topics__count")] == ["6", "3", "1", "2"]

    def test_every_flag_has_a_sentence_and_a_button_that_leads_somewhere(
        self, app: Flask, operator: PageClient, book: Book
    ) -> None:
        for code in FlagCode:
            facts: dict[str, Any] = {"text": "An old sentence."} if code is FlagCode.OTHER else {}
            flag(app, book(), code, **facts)
        shown: list[str] = []
        path = "/operator"
        while path:
            page = operator.page(path)
            for item in page.select("li[data-attention]"):
                shown.append(str(item["data-attention"]))
                assert item.select("p")[0].text.strip().endswith("."), item
                buttons = [str(button["href"]) for button in item.select("a.button")]
                answers = [operator.get(address).status_code for address in buttons]
                # Between two decisions a person chooses; one may not be possible (any more).
                decides = len(buttons) > 1 or item["data-attention"] in ATTENDANCE_FLAGS
                assert set(answers) <= ({200, 409} if decides else {200}), item
                assert 200 in answers or item["data-attention"] in ATTENDANCE_FLAGS, item
                by_bank = item["data-attention"] == FlagCode.DISPUTE_OPEN
                assert ("See it" in item.select(".todo__act")[0].text) == by_bank
            more = page.select("a[rel=next]")
            path = str(more[0]["href"]) if more else ""
        assert sorted(shown) == sorted(FlagCode)

    def test_settling_an_item_in_place(self, app: Flask, operator: PageClient, book: Book) -> None:
        """The button brings the form, which needs a reason; sent, it says that it is done. Both work as pages too."""
        booking = book()
        flag(app, booking, FlagCode.TYPE_WITHDRAWN)
        flag(app, booking, FlagCode.DISPUTE_LOST)
        address = str(operator.page("/operator?topic=times").one("a.button[hx-get]")["href"])
        form = parse(operator.get(address, headers=HTMX))
        assert form.one("form")["hx-post"] == address
        for reason in ("", "ok"):
            answer = send(operator, address, {"reason": reason}, headers=HTMX)
            assert answer.status_code == 422
            assert "in a short sentence" in answer.text
        assert acts(app) == []
        answer = send(operator, address, REASON, headers=HTMX)
        assert (answer.status_code, parse(answer).one("[role=status]").text.strip()) == (
            200,
            "Marked as resolved.",
        )
        assert codes(operator) == ["dispute_lost"]
        (act,) = acts(app)
        assert (act.act, act.reason, act.facts) == (
            "booking.flags_resolved",
            "The client wrote to us.",
            {"flags": ["type_withdrawn"]},
        )
        assert (act.subject_kind, act.subject_id, act.builder_id) == (
            "booking",
            booking.id,
            booking.builder_id,
        )

    def test_settling_without_a_script(self, app: Flask, operator: PageClient, book: Book) -> None:
        booking = book()
        flag(app, booking, FlagCode.DISPUTE_LOST)
        address = str(operator.page("/operator").one("a.button[hx-get]")["href"])
        assert operator.page(address).one("form[data-act], main form")["action"] == address
        assert send(operator, address, {"reason": ""}).status_code == 422
        answer = send(operator, address, REASON)
        assert (answer.status_code, answer.location) == (303, "/operator")
        assert "Marked as resolved." in operator.page(answer.location).words
        # The second click finds it done.
        assert send(operator, address, REASON).status_code == 409
        assert len(acts(app)) == 1

    def test_a_page_begins_behind_the_one_before(self, app: Flask, operator: PageClient, book: Book) -> None:
        """Two that are open since the same moment stay apart."""
        at = utcnow() - timedelta(hours=1)
        for number in range(30):
            booking = book()
            with app.app_context(), transaction(db.session()) as session:
                code = (FlagCode.DISPUTE_LOST, FlagCode.OTHER_HOST, FlagCode.MAIL_NOT_SENT)[number % 3]
                session.add(AttentionFlag(booking_id=booking.id, code=code, facts={}, raised_at=at))
        first = operator.page("/operator")
        second = operator.page(str(first.one("a[rel=next]")["href"]))
        ids = [one["id"] for page in (first, second) for one in page.select("li h2")]
        assert (len(ids), len(set(ids))) == (30, 30)
        assert second.select("a[rel=next]") == []

    def test_the_way_back_keeps_filter_and_page(self, app: Flask, operator: PageClient, book: Book) -> None:
        """From the form to the line of the list, and from the act, without a script, to the list."""
        for hours in range(30):
            flag(app, book(), FlagCode.OTHER_HOST, hours=hours)
        first = operator.page("/operator?topic=times")
        here = str(first.one("a[rel=next]")["href"])
        line = operator.page(here).select("li[data-attention]")[0]
        address = str(line.select("a.button[hx-get]")[0]["href"])
        for headers in (HTMX, {}):
            page = parse(operator.get(address, headers=headers))
            assert page.one("form.act .actions a")["href"] == f"{here}#{line['id']}"
        assert page.one(".crumb a")["href"] == page.one("form.act .actions a")["href"]
        answer = send(operator, address, REASON)
        assert (answer.status_code, answer.location) == (303, here)
        assert len(acts(app)) == 1

    def test_the_way_back_from_a_job(self, app: Flask, operator: PageClient) -> None:
        job_id = add_job(app, "connections.revoke")
        address = str(operator.page("/operator/jobs?state=dead").one("a.button[hx-get]")["href"])
        page = operator.page(address)
        assert page.one("form.act .actions a")["href"] == f"/operator/jobs?state=dead#item-{job_id}"
        assert send(operator, address, REASON).location == "/operator/jobs?state=dead"

    @pytest.mark.parametrize(
        "back",
        [
            "https://evil.example",
            "//evil.example",
            "/operator//evil.example",
            "/operator\\evil.example",
            "/operator?x=//evil.example",
            "/operator\nX: y",
            "/operators",
            "javascript:alert(1)",
        ],
    )
    def test_no_way_back_to_another_place(
        self, app: Flask, operator: PageClient, book: Book, back: str
    ) -> None:
        booking = book()
        flag(app, booking, FlagCode.DISPUTE_LOST)
        address = f"/operator/bookings/{booking.tracking_id}/resolve?{urlencode({'back': back})}"
        home = f"/operator/bookings/{booking.tracking_id}"
        assert operator.page(address).one("form.act .actions a")["href"] == home
        assert send(operator, address, REASON).location == home

    @pytest.mark.parametrize(
        "after", ["x", "0~0~flag", "9~9~flag~9", "-1~-1~flag~-1", f"0~{'9' * 40}~flag~1", "0~1~nothing~1"]
    )
    def test_a_place_that_is_none(self, operator: PageClient, after: str) -> None:
        assert operator.get(f"/operator?after={after}").status_code == 200


class TestWork:
    """Deliveries and jobs."""

    def test_dead_jobs(self, app: Flask, operator: PageClient) -> None:
        job_id = add_job(app, "payments.refund")
        page = operator.page("/operator/jobs")
        assert "A refund in Stripe" in page.words
        assert "The last reason: no answer." in page.words
        address = str(page.one("li a.button")["href"])
        assert send(operator, address, REASON).location == "/operator/jobs"
        assert operator.page("/operator/jobs").select("li[data-attention]") == []
        assert "Waiting" in operator.page("/operator/jobs?state=open").words
        with app.app_context():
            assert db.session().get_one(Job, job_id).state is WorkState.RECEIVED
        assert [(act.act, act.facts) for act in acts(app)] == [("job.retried", {"name": "payments.refund"})]

    def test_a_delivery_is_replayed_with_a_reason(self, app: Flask, operator: PageClient) -> None:
        number = add_delivery(app)
        page = operator.page(f"/operator/deliveries/{number}")
        assert "no answer (StripeUnavailable at try 8)" in page.words
        assert "grace@example.org" not in page.text
        assert send(operator, f"/operator/deliveries/{number}/replay", REASON).status_code == 303
        assert operator.page("/operator/deliveries").select(".event-row") == []
        assert len(operator.page("/operator/deliveries?state=open").select(".event-row")) == 1
        assert [act.act for act in acts(app)] == ["delivery.replayed"]

    def test_a_delivery_is_set_aside_with_a_reason(self, app: Flask, operator: PageClient) -> None:
        """What it was about is settled elsewhere, so it leaves the list, once."""
        number = add_delivery(app)
        address = f"/operator/deliveries/{number}/set-aside"
        assert address in [
            str(one["href"]).partition("?")[0] for one in operator.page("/operator").select("a.button")
        ]
        answer = send(operator, address, {"reason": ""})
        assert answer.status_code == 422
        assert send(operator, address, REASON).status_code == 303
        assert operator.page("/operator").select("li[data-attention]") == []
        assert operator.page(f"/operator/deliveries/{number}").select(f"a[href='{address}']") == []
        assert send(operator, address, REASON).status_code == 409
        assert [act.act for act in acts(app)] == ["delivery.set_aside"]

    def test_who_reads_a_body_leaves_a_row(self, app: Flask, operator: PageClient) -> None:
        number = add_delivery(app)
        address = f"/operator/deliveries/{number}/body"
        assert "grace@example.org" not in operator.page(address).text
        answer = send(operator, address, {"reason": ""})
        assert (answer.status_code, "grace@example.org" in answer.text) == (422, False)
        assert acts(app) == []
        answer = send(operator, address, REASON)
        assert "grace@example.org" in parse(answer).one("pre").text
        returning = f'{{"success_url": "https://hours.example/bookings/{REF}/paid"}}'
        told = send(
            operator, f"/operator/deliveries/{add_delivery(app, body=returning.encode())}/body", REASON
        )
        assert "https://hours.example/bookings/[ref]/paid" in told.text
        assert REF not in told.text
        unreadable = add_delivery(app, body=b"not <JSON>")
        assert (
            "not <JSON>"
            in parse(send(operator, f"/operator/deliveries/{unreadable}/body", REASON)).one("pre").text
        )
        deleted = add_delivery(app, body=None)
        assert "kept for a limited time" in operator.page(f"/operator/deliveries/{deleted}").words
        act = acts(app)[0]
        assert (act.act, act.subject_kind, act.subject_id) == ("delivery.body_read", "delivery", number)


class TestRecord:
    """The record of what operators did."""

    @pytest.fixture
    def several(self, app: Flask, operator: PageClient, kenji: Offer, book: Book) -> None:
        for offer, code in (
            ({}, FlagCode.DISPUTE_LOST),
            ({"offer": kenji}, FlagCode.OTHER_HOST),
        ):
            booking = book(**offer)
            flag(app, booking, code)
            send(operator, f"/operator/bookings/{booking.tracking_id}/resolve", REASON)
        send(operator, f"/operator/jobs/{add_job(app, 'payments.refund')}/retry", {"reason": "Once more."})

    @pytest.mark.usefixtures("several")
    def test_filters(self, app: Flask, operator: PageClient, ada: Offer, kenji: Offer) -> None:
        def shown(query: str = "") -> list[str]:
            page = operator.page(f"/operator/acts{query}")
            return [str(one["data-act"]) for one in page.select("li[data-act]")]

        assert shown() == ["job.retried", "booking.flags_resolved", "booking.flags_resolved"]
        assert shown("?act=job.retried") == ["job.retried"]
        assert shown(f"?builder={kenji.builder.id}") == ["booking.flags_resolved"]
        assert shown(f"?operator={ada.builder.account_id}&act=booking.flags_resolved") == shown()[1:]
        assert shown("?operator=4711") == []
        words = operator.page("/operator/acts").words
        assert "Once more." in words
        assert "Kenji Mori" in words

    @pytest.mark.any_database
    def test_each_act_names_what_it_was_done_to(
        self, app: Flask, operator: PageClient, ada: Offer, kenji: Offer, book: Book
    ) -> None:
        """By its name, which leads to its page; by its number where it is gone."""
        booking, job, delivery = book(offer=kenji), add_job(app, "payments.refund"), add_delivery(app)
        now = utcnow()
        with app.app_context(), transaction(db.session()) as session:
            application = Application(email="a@example.org", name="Noor", about="x", confirmed_at=now)
            time = UnattachedInvitee(
                builder_id=kenji.builder.id,
                session_type_id=booking.session_type_id,
                event_uri="https://api.calendly.com/scheduled_events/X",
                invitee_uri="https://api.calendly.com/scheduled_events/X/invitees/Y",
                title="Review",
                name="Lin",
                email="lin@example.org",
                starts_at=now,
                ends_at=now,
                found_at=now,
            )
            session.add_all((application, time))
            session.flush()
            invitation = invite(session, email="mia@example.org", name="Mia", now=now)
            for kind, number in (
                (SubjectKind.BOOKING, booking.id),
                (SubjectKind.BUILDER, kenji.builder.id),
                (SubjectKind.JOB, job),
                (SubjectKind.DELIVERY, delivery),
                (SubjectKind.APPLICATION, application.id),
                (SubjectKind.UNATTACHED, time.id),
                (SubjectKind.INVITATION, invitation.id),
                (SubjectKind.JOB, 4711),
            ):
                decision = Decision(ada.builder.account_id, "because", now)
                record_act(session, ActCode.NOTE_ADDED, (kind, number), decision)
        page = operator.page("/operator/acts")
        links = [
            (" ".join(link.text.split()), operator.get(str(link["href"])).status_code)
            for link in page.select("li[data-act] a")
        ]
        assert links == [
            ("Mia, mia@example.org", 200),
            ("Review, Lin", 200),
            ("Noor", 200),
            ("Stripe sent checkout.session.completed", 200),
            ("A refund in Stripe", 200),
            ("Kenji Mori", 200),
            (f"{booking.title}, Grace Hall", 200),
        ]
        assert "Job 4711" in page.words

    def test_it_goes_on(self, app: Flask, operator: PageClient, ada: Offer) -> None:
        with app.app_context(), transaction(db.session()) as session:
            (me,) = session.scalars(sa.select(Account.id).where(Account.is_operator))
            for number in range(30):
                session.add(
                    OperatorAct(
                        at=utcnow(),
                        operator_id=me,
                        act="delivery.replayed",
                        subject_kind="delivery",
                        subject_id=number,
                        reason="because",
                    )
                )
        first = operator.page("/operator/acts?act=delivery.replayed")
        second = operator.page(str(first.one("a[rel=next]")["href"]))
        assert (len(first.select("li[data-act]")), len(second.select("li[data-act]"))) == (25, 5)


def test_what_happened_to_accounts(app: Flask, operator: PageClient, ada: Offer, kenji: Offer) -> None:
    """Newest first; one account's alone."""
    now = utcnow()
    with app.app_context(), transaction(db.session()) as session:
        for offer, code in ((ada, SecurityCode.PASSWORD_CHANGED), (kenji, SecurityCode.DENIED)):
            event = SecurityEvent(
                at=now,
                code=code,
                account_id=offer.builder.account_id,
                network="192.0.2.0/24",
                user_agent="",
                facts={"endpoint": "dashboard.booking"} if code is SecurityCode.DENIED else {},
            )
            session.add(event)
            session.flush()

    def shown(path: str) -> list[str]:
        return [str(one["data-event"]) for one in operator.page(path).select("li[data-event]")][:2]

    assert shown("/operator/security") == ["denied", "password_changed"]
    assert shown(f"/operator/security?account={kenji.builder.account_id}") == ["denied"]
    words = operator.page("/operator/security").words
    assert "192.0.2.x" in words
    assert "dashboard.booking" in words


def test_what_happened_to_connections(app: Flask, operator: PageClient, kenji: Offer) -> None:
    """With the builder whom it concerns; the platform's own tokens too."""
    with app.app_context(), transaction(db.session()) as session:
        record_audit(
            session, AuditKind.CONNECTION_DEAD, builder_id=kenji.builder.id, reason="revoked", now=utcnow()
        )
        record_audit(session, AuditKind.PLATFORM_REFUSED, token=1, builders=2, now=utcnow())
        record_audit(session, AuditKind.KEYS_ROTATED, secrets=3, key="abc", now=utcnow())
    lines = [
        " ".join(one.text.split()) for one in operator.page("/operator/connections").select("li[data-entry]")
    ]
    assert lines[0].startswith("3 secrets were encrypted again")
    assert lines[1].startswith("Calendly refused the platform's token. 2 builders cannot be booked.")
    assert lines[2].startswith("Calendly no longer accepts our access")
    assert "Kenji Mori" in lines[2]


def test_how_long_jobs_have_been_due_is_in_words(app: Flask, operator: PageClient) -> None:
    add_job(app, "connections.revoke", state=WorkState.RECEIVED, run_at=utcnow() - timedelta(hours=94))
    assert "The oldest has been due for 94 hours." in operator.page("/operator/state").words


def test_state(app: Flask, operator: PageClient) -> None:
    """Without a worker it says so, also on the first page."""
    add_delivery(app)
    page = operator.page("/operator/state")
    assert "No worker is running: nothing is applied, sent or refunded." in page.words
    assert "1 was given up." in page.words
    assert "No worker is running" in operator.page("/operator").words


def test_a_connection_that_was_just_made_is_no_trouble(
    app: Flask, operator: PageClient, kenji: Offer
) -> None:
    """Its subscription is checked within the hour; a day later that it was not is worth a line."""
    for age, is_shown in ((timedelta(minutes=5), False), (timedelta(days=1), True)):
        at = utcnow() - age
        with app.app_context(), transaction(db.session()) as session:
            row = session.get(CalendlyConnection, 1) or CalendlyConnection(
                builder_id=kenji.builder.id,
                user_uri="https://api.calendly.com/users/KENJI",
                scopes=[],
                state=ConnectionState.CONNECTED,
                expires_at=utcnow() + timedelta(hours=2),
            )
            row.connected_at = row.renewed_at = row.changed_at = at
            session.add(row)
        assert ("Kenji Mori" in operator.page("/operator/state").words) is is_shown


@pytest.mark.any_database
def test_no_page_needs_more_than_six_statements(
    app: Flask, operator: PageClient, kenji: Offer, book: Book, statements: list[str]
) -> None:
    """However much there is on it."""
    for code in (FlagCode.DISPUTE_LOST, FlagCode.OTHER_HOST, FlagCode.MAIL_NOT_SENT):
        flag(app, book(Status.CONFIRMED), code)
        flag(app, book(offer=kenji), code)
    add_job(app, "payments.refund")
    add_delivery(app)
    for path in (
        "/operator",
        "/operator?topic=money",
        "/operator/bookings",
        "/operator/bookings?q=grace@example.org",
        "/operator/disputes",
        "/operator/disputes?state=ended",
        "/operator/deliveries",
        "/operator/jobs",
        "/operator/state",
        "/operator/acts",
        "/operator/security",
        "/operator/connections",
    ):
        statements.clear()
        operator.page(path)
        assert len(statements) <= 6, (path, len(statements), statements)
