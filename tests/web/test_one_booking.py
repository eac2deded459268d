"""The page of one booking: its timeline, and everything that a builder does with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.bookings.codes import FlagCode
from bookingapp.bookings.mail_triggers import SEND_MAIL_JOB
from bookingapp.bookings.models import AttentionFlag, Booking
from bookingapp.bookings.states import Status
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, insert_if_new, transaction
from bookingapp.core.queue import Job, WorkState
from bookingapp.outcomes import Done, Failure
from bookingapp.payments.models import EntryKind, LedgerEntry, Payment, PaymentState, Refund
from bookingapp.sync.models import Missing, NotFetched, Reconciliation
from bookingapp.webhooks.models import DeliveryOutcome, InboxEvent
from tests.factories import inbox_row
from tests.live import press
from tests.pages import HTMX, Page, PageClient, parse
from tests.web.conftest import Book, LogInAs, Offer, list_rows
from tests.web.conftest import change as change_row

Change = Callable[..., None]


@pytest.fixture
def booking(app: Flask, book: Book) -> Booking:
    """Confirmed, with £60.00 paid."""
    made = book(Status.CONFIRMED)
    now = utcnow()
    with app.app_context(), transaction(db.session()) as session:
        payment = Payment(
            booking_id=made.id,
            attempt=1,
            state=PaymentState.PAID,
            amount_minor=6000,
            currency="GBP",
            payment_intent_id="pi_1",
            expires_at=now,
            created_at=now,
            updated_at=now,
        )
        session.add(payment)
        session.flush()
        for kind, minor, stripe_id in ((EntryKind.CHARGE, 6000, "pi_1"), (EntryKind.FEE, -110, "txn_1:fee")):
            session.add(
                LedgerEntry(
                    booking_id=made.id,
                    payment_id=payment.id,
                    kind=kind,
                    amount_minor=minor,
                    currency="GBP",
                    stripe_id=stripe_id,
                    at=now,
                )
            )
    return made


@pytest.fixture
def path(booking: Booking) -> str:
    """Its address."""
    return f"/dashboard/bookings/{booking.tracking_id}"


@pytest.fixture
def change(app: Flask, booking: Booking) -> Change:
    """Changes columns of the booking."""
    return partial(change_row, app, booking)


@pytest.fixture
def has_begun(change: Change) -> None:
    """Its session is under way."""
    start = utcnow() - timedelta(minutes=10)
    change(starts_at=start, ends_at=start + timedelta(hours=1))


def timeline(page: Page) -> list[str]:
    """The lines of the timeline."""
    return [line.text for line in page.select("#timeline li")]


class TestTimeline:
    @pytest.fixture
    def everything(self, app: Flask, booking: Booking) -> None:
        """Deliveries, jobs and mails in every state, a flag that passed, a note."""
        now = utcnow()
        with app.app_context(), transaction(db.session()) as session:
            about = {"booking_id": booking.id, "finished_at": now, "attempts": 1}
            done = {"state": WorkState.DONE, "outcome": DeliveryOutcome.REFUNDS_RECORDED}
            for key, values in {
                "evt_done": {"type": "charge.refunded", **done},
                "evt_dead": {
                    "type": "charge.updated",
                    "state": WorkState.DEAD,
                    "outcome": Failure.UNAVAILABLE,
                },
                "evt_odd": {
                    "type": "balance.available",
                    "state": WorkState.IGNORED,
                    "outcome": DeliveryOutcome.NOTHING_NEW,
                },
            }.items():
                row = {**inbox_row(key), **about, **values}
                insert_if_new(session, InboxEvent, row, ["provider", "event_key"])
            jobs = session.scalars(sa.select(Job).where(Job.name == SEND_MAIL_JOB).order_by(Job.id)).all()
            for job, (state, outcome) in zip(
                jobs,
                [
                    (WorkState.DONE, Done.NO_LONGER_TRUE),
                    (WorkState.DONE, None),
                    (WorkState.DEAD, Failure.NOT_ACCEPTED),
                ],
                strict=True,
            ):
                job.state, job.outcome, job.attempts, job.finished_at = state, outcome, 2, now
            session.add(
                AttentionFlag(
                    booking_id=booking.id,
                    code=FlagCode.REFUND_DELAYED,
                    raised_at=now,
                    resolved_at=now,
                    facts={},
                )
            )

    def test_one_list_of_everything(self, browser: PageClient, path: str, everything: None) -> None:
        press(browser, f"{path}/notes", {"text": "Call Grace"})
        page = browser.page(path)
        lines = "\n".join(timeline(page))
        for words in (
            "Waiting for a time → Time reserved",
            "Paid: £60.00",
            "Kept by Stripe: -£1.10",
            "Stripe reports a refund",
            "Refunds recorded",
            "Stripe reports its fee",
            "Given up · 1 try · No answer",
            "Stripe sent something",
            "E-mail to the client: a reminder to pay before the hold ends",
            "Not sent, because it is no longer true",
            "E-mail to the client: the confirmation, with time, price and refund policy",
            "Given up · 2 tries · The mail was not accepted",
            "This site: completing the session",
            "Planned",
            "Needs your attention",
            "No longer needs your attention",
            "A note of yours",
            "Call Grace",
        ):
            assert words in lines, words
        moments = [str(line["datetime"]) for line in page.select("#timeline time")]
        assert moments == sorted(moments)

    @pytest.mark.parametrize(
        ("show", "words", "others"),
        [
            ("money", "Paid: £60.00", "E-mail"),
            ("mails", "E-mail to the client", "Stripe reports"),
            ("deliveries", "Stripe reports a refund", "Paid: £60.00"),
            ("work", "This site: completing the session", "E-mail"),
            ("changes", "Paid → Confirmed", "This site"),
        ],
    )
    def test_one_kind(
        self, browser: PageClient, path: str, everything: None, show: str, words: str, others: str
    ) -> None:
        """The filter stands in the address and needs no script."""
        page = browser.page(f"{path}?show={show}")
        lines = "\n".join(timeline(page))
        assert words in lines and others not in lines
        assert {str(line["data-kind"]) for line in page.select("#timeline li")} == {show}
        assert page.one("#filter-show option[selected]")["value"] == show

    def test_nothing_of_a_kind(self, browser: PageClient, path: str) -> None:
        assert "Nothing of this kind." in browser.page(f"{path}?show=notes").words
        assert timeline(browser.page(f"{path}?show=nonsense"))

    def test_what_it_does_not_say(
        self, browser: PageClient, booking: Booking, path: str, everything: None
    ) -> None:
        answer = browser.get(path).text
        for secret in (booking.ref, "whsec", "Stripe-Signature", "evt_done", "pi_1"):
            assert secret not in answer

    def test_a_long_history_is_on_pages(
        self, app: Flask, browser: PageClient, booking: Booking, path: str
    ) -> None:
        with app.app_context(), transaction(db.session()) as session:
            for number in range(100):
                row = {**inbox_row(f"evt_{number}"), "booking_id": booking.id, "type": "charge.updated"}
                insert_if_new(session, InboxEvent, row, ["provider", "event_key"])
        seen: list[str] = []
        address = path
        for _ in range(10):
            page = browser.page(address)
            assert len(timeline(page)) <= 40
            seen = [*map(str, (line["href"] for line in page.select("#timeline li a"))), *seen]
            link = page.select("#earlier-link")
            if not link:
                break
            address = str(link[0]["href"])
        assert len(seen) == len(set(seen)) == 100
        assert browser.page(address).select("#later-link")

    def test_few_statements(
        self, browser: PageClient, path: str, everything: None, statements: list[str]
    ) -> None:
        browser.page(path)
        statements.clear()
        browser.page(path)
        assert len(statements) <= MOST_STATEMENTS, statements


# Without the timeline, the notes and the check it were 17.
MOST_STATEMENTS = 23


class TestRefund:
    def preview(self, browser: PageClient, path: str, **fields: str) -> Any:
        edition = str(browser.page(f"{path}/refund").one("input[name=edition]")["value"])
        return browser.get(
            f"{path}/refund", query_string={"reason": "courtesy", "edition": edition, **fields}
        )

    @pytest.mark.parametrize(
        ("typed", "minor"), [("40,50", 4050), ("£40.50", 4050), ("60", 6000), ("0.01", 1), ("40.5", 4050)]
    )
    def test_the_amount_is_shown_first(self, browser: PageClient, path: str, typed: str, minor: int) -> None:
        page = browser.page(
            f"{path}/refund", query_string={"amount": typed, "reason": "trouble", "edition": "0"}
        )
        assert page.one("[data-refund-minor]")["data-refund-minor"] == str(minor)
        assert page.one("[data-refund-minor]")["data-currency"] == "GBP"

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"amount": "60.01"}, "at most £60.00"),
            ({"amount": "0"}, "above zero"),
            ({"amount": "40.505"}, ""),
            ({"amount": "much"}, ""),
            ({"amount": "-5"}, ""),
            ({"amount": "5", "reason": ""}, "Please choose why"),
            ({"amount": "5", "reason": "paid_twice"}, ""),
            ({"amount": "5", "edition": "x"}, ""),
        ],
    )
    def test_what_cannot_be_refunded(
        self, app: Flask, browser: PageClient, path: str, fields: dict[str, str], words: str
    ) -> None:
        """The form comes back with what was typed; neither step makes a refund."""
        answer = self.preview(browser, path, **fields)
        assert answer.status_code == 422
        assert words in parse(answer).words
        assert parse(answer).select("[aria-invalid]") or "edition" in fields
        data = {"reason": "courtesy", "edition": "0", **fields}
        assert press(browser, f"{path}/refund", data).status_code == 422
        assert list_rows(app, Refund) == []

    def test_two_clicks_and_two_tabs_refund_once(self, app: Flask, browser: PageClient, path: str) -> None:
        data = {"amount": "40,50", "reason": "shorter_session", "edition": "0"}
        for _ in range(3):
            assert press(browser, f"{path}/refund", data).status_code == 303
        (refund,) = list_rows(app, Refund)
        assert (refund.amount_minor, refund.reason) == (4050, "shorter_session")
        page = browser.page(path)
        assert "the builder · refunds £40.50. The session was shorter than planned" in page.words

    def test_a_page_that_is_old(self, app: Flask, browser: PageClient, path: str) -> None:
        """409, with what is left now and a form that works."""
        press(browser, f"{path}/refund", {"amount": "40", "reason": "courtesy", "edition": "0"})
        answer = press(browser, f"{path}/refund", {"amount": "10", "reason": "courtesy", "edition": "0"})
        assert answer.status_code == 409
        page = parse(answer)
        assert "Something was refunded since you opened this page." in page.words
        assert "£20.00 of £60.00 can be refunded" in page.words
        assert page.one("input[name=edition]")["value"] == "1"
        assert len(list_rows(app, Refund)) == 1

    def test_nothing_is_left(self, browser: PageClient, path: str) -> None:
        """A second click on a full refund is the same refund; a new one is refused in words."""
        data = {"amount": "60", "reason": "courtesy", "edition": "0"}
        assert [press(browser, f"{path}/refund", data).status_code for _ in range(2)] == [303, 303]
        refused = browser.page(f"{path}/refund", status=409)
        assert "There is nothing left to refund." in refused.words
        assert refused.one("main a.button")["href"] == path
        answer = press(browser, f"{path}/refund", {**data, "edition": "1"})
        assert answer.status_code in (409, 422)
        assert not browser.page(path).select("#refund-link")

    def test_an_unpaid_booking(self, browser: PageClient, book: Book) -> None:
        unpaid = f"/dashboard/bookings/{book(Status.SCHEDULED).tracking_id}"
        assert not browser.page(unpaid).select("#refund-link")
        assert browser.get(f"{unpaid}/refund").status_code == 409

    def test_canceling_promises_what_there_is(self, browser: PageClient, path: str, book: Book) -> None:
        """No refund where nothing was paid, and nothing in Calendly before there is a time."""
        assert browser.page(path).one("#cancel-link").text.strip() == "Cancel with full refund"
        assert "cancel the time in Calendly" in browser.page(f"{path}/cancel").words
        begun = f"/dashboard/bookings/{book(Status.PENDING).tracking_id}"
        assert browser.page(begun).one("#cancel-link").text.strip() == "Cancel this session"
        words = browser.page(f"{begun}/cancel").words
        assert "with an apology in your name." in words
        assert "cancel the time in Calendly" not in words


class TestAbsence:
    def test_it_says_what_goes_back(self, browser: PageClient, path: str, has_begun: None) -> None:
        assert browser.page(path).select("#absence-link")
        page = browser.page(f"{path}/absence")
        assert page.one("[data-refund-minor]")["data-refund-minor"] == "6000"
        for status in (303, 303):
            assert press(browser, f"{path}/absence").status_code == status
        page = browser.page(path)
        assert "Canceled" in page.one(".row__badges").text
        assert "the builder · could not come" in page.words
        assert not page.select("#absence-link")

    def test_what_the_client_reads(
        self, browser: PageClient, booking: Booking, path: str, has_begun: None
    ) -> None:
        press(browser, f"{path}/absence")
        page = browser.page(f"/bookings/{booking.ref}")
        assert page.one("h1").text == "Your session did not take place"
        assert "Ada Okonkwo could not come. We're sorry." in page.words
        assert "Your refund of £60.00 is on its way" in page.words
        assert page.select("#again-link")

    def test_not_before_the_start(self, browser: PageClient, path: str) -> None:
        assert not browser.page(path).select("#absence-link")
        assert browser.get(f"{path}/absence").status_code == 409
        answer = press(browser, f"{path}/absence")
        assert answer.status_code == 409
        assert "has not started yet" in answer.text

    def test_it_says_that_the_mark_goes(self, browser: PageClient, path: str, has_begun: None) -> None:
        press(browser, f"{path}/no-show", {"came": "0"})
        assert "We remove that mark, in Calendly too." in browser.page(f"{path}/absence").words


class TestMails:
    def sent(self, app: Flask) -> None:
        with app.app_context(), transaction(db.session()) as session:
            is_mail = Job.name == SEND_MAIL_JOB
            session.execute(sa.update(Job).where(is_mail).values(state=WorkState.DONE, finished_at=utcnow()))

    def test_what_was_sent_and_is_true(self, app: Flask, browser: PageClient, path: str) -> None:
        assert "There is no e-mail to send again" in browser.page(f"{path}/mails").words
        self.sent(app)
        page = browser.page(f"{path}/mails")
        kinds = {str(button["value"]) for button in page.select("button[name=mail]")}
        assert kinds == {"confirmed-client", "confirmed-builder"}
        assert press(browser, f"{path}/mails", {"mail": "confirmed-client"}).status_code == 303
        assert "the builder · sent again: the confirmation" in browser.page(path).words

    @pytest.mark.parametrize(("mail", "status"), [("canceled-client", 409), ("nonsense", 422), ("", 422)])
    def test_what_is_not(self, app: Flask, browser: PageClient, path: str, mail: str, status: int) -> None:
        self.sent(app)
        assert press(browser, f"{path}/mails", {"mail": mail}).status_code == status

    def test_not_too_often(self, app: Flask, browser: PageClient, path: str) -> None:
        statuses = []
        for _ in range(4):
            self.sent(app)
            statuses.append(press(browser, f"{path}/mails", {"mail": "confirmed-client"}).status_code)
        assert statuses == [303, 303, 303, 429]


class TestNotes:
    def test_a_note_is_added_changed_and_deleted(self, browser: PageClient, path: str) -> None:
        assert press(browser, f"{path}/notes", {"text": "Call <b>Grace</b>\nsoon"}).status_code == 303
        page = browser.page(path)
        assert "Call <b>Grace</b>" in page.one("#notes li").text
        assert "The note is saved." in page.one("[role=status]").text
        address = str(page.one("#notes li a")["href"])
        assert "novalidate" in browser.page(address).one("main form").attrs
        assert press(browser, address, {"text": "Called"}).status_code == 303
        page = browser.page(path)
        assert "Called" in page.one("#notes li").text
        assert "The note is saved." in page.one("[role=status]").text
        assert press(browser, f"{address}/delete").status_code == 303
        page = browser.page(path)
        assert not page.select("#notes li")
        assert "The note is deleted." in page.one("[role=status]").text
        assert press(browser, f"{address}/delete").status_code == 404

    @pytest.mark.parametrize("text", ["", "   ", "x" * 2001])
    def test_what_is_no_note(self, browser: PageClient, path: str, text: str) -> None:
        assert press(browser, f"{path}/notes", {"text": text}).status_code == 422

    def test_no_client_and_no_file_has_it(self, browser: PageClient, booking: Booking, path: str) -> None:
        press(browser, f"{path}/notes", {"text": "Zebra"})
        assert "Zebra" in browser.get(path).text
        assert b"Zebra" not in browser.get(f"{path}/evidence").data
        assert "Zebra" not in browser.get(f"/bookings/{booking.ref}").text


class TestCheck:
    def test_a_job_does_it(self, app: Flask, browser: PageClient, path: str) -> None:
        """The page says so without a script, and with one it asks again until there is an answer, not for ever."""
        for _ in range(2):
            assert press(browser, f"{path}/check").status_code == 303
        names = [job.name for job in list_rows(app, Job)]
        assert names.count("providers.check_booking") == 1
        page = browser.page(path)
        assert "We are asking Stripe and Calendly." in page.one("#check").text
        assert not page.select("#check-button")
        first = page.one("#check-result")
        assert first["hx-get"] == f"{path}/check?n=1"
        fragment = parse(browser.get(f"{path}/check?n=30", headers=HTMX))
        last = fragment.one("#check-result")
        assert not fragment.select("form")
        assert not last.get("hx-get")
        assert "Check again" in last.text
        assert browser.get(f"{path}/check").status_code == 303

    @pytest.mark.parametrize(
        ("missing", "failed", "words"),
        [
            ([], [], "Stripe and Calendly agree with this page."),
            ([(Missing.TIME_CHANGED, True)], [], "we found 1 change that had not reached us"),
            ([(Missing.TIME_CHANGED, False)], [], "Stripe and Calendly agree with this page."),
            ([], [NotFetched.BOOKING], "No answer from: Stripe."),
            ([], [NotFetched.BUILDER, NotFetched.BOOKING], "No answer from: Calendly, Stripe."),
        ],
    )
    def test_its_result(
        self,
        app: Flask,
        browser: PageClient,
        booking: Booking,
        path: str,
        missing: list[tuple[Missing, bool]],
        failed: list[NotFetched],
        words: str,
    ) -> None:
        press(browser, f"{path}/check")
        now = utcnow()
        with app.app_context(), transaction(db.session()) as session:
            is_it = Job.name == "providers.check_booking"
            session.execute(sa.update(Job).where(is_it).values(state=WorkState.DONE, finished_at=now))
            report = Reconciliation(at=now, since=now, booking_id=booking.id)
            report.missing = [
                {"code": code, "facts": {"booking_id": booking.id if mine else booking.id + 1}}
                for code, mine in missing
            ]
            report.failed = [{"code": code, "facts": {}} for code in failed]
            session.add(report)
        assert words in browser.page(path).one("#check").text
        answer = browser.get(f"{path}/check?n=2", headers=HTMX)
        assert answer.headers.get("HX-Retarget") == (".dashboard" if missing else None)
        assert parse(answer).one("form[action$='/check']")["action"] == f"{path}/check"

    def test_not_too_often(self, app: Flask, browser: PageClient, path: str) -> None:
        assert [press(browser, f"{path}/check").status_code for _ in range(4)] == [303, 303, 303, 429]


@pytest.mark.parametrize(
    ("method", "end"),
    [
        ("GET", ""),
        ("GET", "/refund"),
        ("POST", "/refund"),
        ("GET", "/absence"),
        ("POST", "/absence"),
        ("GET", "/mails"),
        ("POST", "/mails"),
        ("GET", "/check"),
        ("POST", "/check"),
        ("POST", "/notes"),
        ("GET", "/notes/1"),
        ("POST", "/notes/1"),
        ("POST", "/notes/1/delete"),
    ],
)
def test_another_builders_booking_does_not_exist(
    app: Flask, client: PageClient, kenji: Offer, log_in: LogInAs, path: str, method: str, end: str
) -> None:
    """Whatever they do, they get the page of an address that does not exist, and nothing changes."""
    browser = log_in(kenji)
    fields = {"amount": "1", "reason": "courtesy", "edition": "0", "mail": "confirmed-client", "text": "x"}
    answer = press(browser, f"{path}{end}", fields) if method == "POST" else browser.get(f"{path}{end}")
    assert answer.status_code == 404
    assert list_rows(app, Refund) == []
