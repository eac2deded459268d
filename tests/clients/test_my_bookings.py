"""The list of one's bookings, by a link that works once; the answer to a request is the same for every address."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from bookingapp.bookings.models import Booking
from bookingapp.bookings.tracking import TrackingSigner
from bookingapp.builders.models import Builder
from bookingapp.clients.links import LinkSigner
from bookingapp.clients.models import SignIn
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.core.queue import Job
from tests.clients.conftest import Post
from tests.factories import facts, make_booking, schedule
from tests.mailbox import html, text
from tests.pages import PageClient, new_client, parse

GRACE = "grace@example.org"


@pytest.fixture
def booked(app: Flask, ada: Builder) -> Booking:
    """Grace has a time next week, not paid yet; Bob has a booking too."""
    with app.app_context():
        booking = make_booking(db.session(), builder=ada, now=utcnow())
        start = utcnow() + timedelta(days=7)
        schedule(db.session(), booking, now=utcnow(), starts_at=start, ends_at=start + timedelta(hours=1))
        make_booking(
            db.session(), builder=ada, client_email="bob@example.org", title="Bob's own", now=utcnow()
        )
    return booking


def ask(client: PageClient, address: str) -> str:
    """Ask for a link; the page that answers."""
    answer = client.submit("/my-bookings", {"email": address})
    assert (answer.status_code, answer.location) == (303, "/my-bookings/sent")
    return parse(client.get(answer.location)).words


def use(client: PageClient, path: str) -> int:
    """Press the button that the link leads to; the status of the answer."""
    return client.submit(path).status_code


def signed_in(client: PageClient, post: Post, address: str = GRACE) -> PageClient:
    """The browser, after all of it."""
    ask(client, address)
    assert use(client, post.link(address)) == 303
    return client


def test_from_the_address_to_the_bookings(client: PageClient, post: Post, booked: Booking) -> None:
    """Form, mail, link, button, list: one's own bookings with their state, and no others."""
    page = client.page("/my-bookings")
    assert page.one("main form")["action"] == "/my-bookings"
    ask(client, "  Grace@Example.ORG ")
    path = post.link(GRACE)
    mail = post.mailbox.one(GRACE)
    assert mail["Subject"] == "Your link to see your bookings"
    assert "It works once, for 30 minutes." in text(mail)
    assert f'href="http://127.0.0.1:8000{path}"' in html(mail)

    page = client.page(path)
    assert GRACE in page.words
    assert page.one("main form")["method"] == "post"
    answer = client.submit(path)
    assert (answer.status_code, answer.location) == (303, "/my-bookings")

    answer = client.get("/my-bookings")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    page = parse(answer)
    assert [str(a["href"]) for a in page.select(".row__what a")] == [f"/bookings/{booked.ref}"]
    assert "Time reserved" in page.words
    assert "Berlin time" in page.words
    assert "Bob" not in page.words


def test_the_same_answer_for_everybody(
    client: PageClient, other: PageClient, post: Post, booked: Booking
) -> None:
    """With bookings or without; only the mailbox tells the difference."""
    known, unknown = ask(client, GRACE), ask(other, "nobody@example.org")
    assert known.replace(GRACE, "…") == unknown.replace("nobody@example.org", "…")
    assert "If there are bookings for" in known
    post.deliver()
    assert [str(mail["To"]) for mail in post.mailbox.all()] == [GRACE]


def test_the_same_work_for_everybody(client: PageClient, booked: Booking, statements: list[str]) -> None:
    """The request does not query bookings, so its duration says nothing."""
    seen = []
    for address in (GRACE, "nobody@example.org"):
        token = client.token()
        statements.clear()
        client.post("/my-bookings", data={"email": address, "csrf_token": token})
        seen.append([re.sub(r"\s+", " ", statement)[:60] for statement in statements])
    assert seen[0] == seen[1]
    assert seen[0]
    assert not any("FROM bookings" in statement for statement in seen[0])


@pytest.mark.parametrize("address", ["", "grace", "grace@", "a@b@c", "x" * 250 + "@example.org"])
def test_an_invalid_address(client: PageClient, post: Post, address: str) -> None:
    answer = client.submit("/my-bookings", {"email": address})
    assert answer.status_code == 422
    assert parse(answer).select(".field__error")
    post.deliver()
    assert post.mailbox.all() == []


def test_a_link_works_once_in_whatever_browser(
    client: PageClient, other: PageClient, post: Post, booked: Booking
) -> None:
    """Programs open links too, which does not use them up; the button signs in the browser in which it is pressed."""
    ask(client, GRACE)
    path = post.link(GRACE)
    for _ in range(3):
        assert other.get(path).status_code == 200
        assert other.head(path).status_code == 200
    assert not other.page("/my-bookings").select(".rows")
    assert use(other, path) == 303
    for browser in (client, other):
        answer = browser.get(path)
        assert answer.status_code == 410
        assert "Ask for a new one here" in parse(answer).words
        assert use(browser, path) == 410
    assert other.page("/my-bookings").select(".rows")
    assert not client.page("/my-bookings").select(".rows")


@pytest.mark.any_database
def test_two_browsers_at_once_end_with_one(
    app: Flask, post: Post, client: PageClient, booked: Booking
) -> None:
    ask(client, GRACE)
    path = post.link(GRACE)
    browsers = [new_client(app) for _ in range(6)]
    tokens = [browser.token() for browser in browsers]
    with ThreadPoolExecutor(6) as pool:
        asked = [
            pool.submit(browser.post, path, data={"csrf_token": token})
            for browser, token in zip(browsers, tokens, strict=True)
        ]
        statuses = sorted(one.result().status_code for one in asked)
    assert statuses == [303, 410, 410, 410, 410, 410]


def test_a_link_is_good_for_half_an_hour(client: PageClient, post: Post, booked: Booking) -> None:
    ask(client, GRACE)
    path, now = post.link(GRACE), utcnow()
    with time_machine.travel(now + timedelta(minutes=31), tick=False):
        assert client.get(path).status_code == 410
        assert use(client, path) == 410
    with time_machine.travel(now + timedelta(minutes=29), tick=False):
        assert use(client, path) == 303


def test_a_browser_is_known_for_a_day(client: PageClient, post: Post, booked: Booking) -> None:
    now = utcnow()
    signed_in(client, post)
    with time_machine.travel(now + timedelta(hours=23, minutes=50), tick=False):
        assert client.page("/my-bookings").select(".rows")
    with time_machine.travel(now + timedelta(hours=24, minutes=1), tick=False):
        assert not client.page("/my-bookings").select(".rows")


def test_a_forged_link_opens_nothing(app: Flask, client: PageClient, post: Post, booked: Booking) -> None:
    """Changed by a letter, cut, signed for another purpose, or signed by somebody else: one answer for all."""
    ask(client, GRACE)
    path = post.link(GRACE)
    value = path.rsplit("/", 1)[-1]
    with app.app_context():
        token = db.session().scalars(sa.select(SignIn.link_token)).one()
        of_another_purpose = services.get(TrackingSigner).sign(token)
    flipped = ("A" if value[0] != "A" else "B") + value[1:]
    wrong = [flipped, value[:-1], value + "A", token, of_another_purpose, LinkSigner(["k" * 40]).sign(token)]
    answers = set()
    for forged in [*wrong, "x" * 1000]:
        answer = client.get(f"/my-bookings/link/{forged}")
        answers.add((answer.status_code, parse(answer).words))
        assert use(client, f"/my-bookings/link/{forged}") == 410
    assert len(answers) == 1
    assert use(client, path) == 303


def test_a_new_key_keeps_the_links_of_the_old(app: Flask) -> None:
    old, new = "o" * 40, "n" * 40
    made = LinkSigner([old]).sign("token")
    assert LinkSigner([new, old]).read(made) == "token"
    assert LinkSigner([new]).read(made) is None
    assert LinkSigner([old]).read(LinkSigner([new, old]).sign("token")) is None


def test_signing_out_ends_it_on_both_sides(client: PageClient, post: Post, booked: Booking) -> None:
    signed_in(client, post)
    cookie = client.get_cookie("session")
    assert cookie is not None
    assert client.submit("/my-bookings/forget").status_code == 303
    assert not client.page("/my-bookings").select(".rows")
    client.set_cookie("session", cookie.value)
    assert not client.page("/my-bookings").select(".rows")


def test_an_address_gets_three_links_at_most(app: Flask, post: Post, booked: Booking) -> None:
    """At most three links for one address in half an hour, from however many browsers; then when to ask again."""
    for number in range(6):
        browser = new_client(app)
        browser.environ_base["REMOTE_ADDR"] = f"192.0.2.{number + 1}"
        answer = browser.submit("/my-bookings", {"email": GRACE})
        assert answer.status_code == (303 if number < 3 else 429)
    post.deliver()
    assert len(post.mailbox.to(GRACE)) == 3


def test_one_browser_cannot_ask_without_end(client: PageClient) -> None:
    token = client.token()
    statuses = [
        client.post("/my-bookings", data={"email": f"a{n}@example.org", "csrf_token": token}).status_code
        for n in range(6)
    ]
    assert statuses == [303] * 5 + [429]


def test_rows_are_not_kept(app: Flask, client: PageClient, post: Post, booked: Booking) -> None:
    """Two days later an address that was typed in is gone; the row of work never had it."""
    ask(client, "nobody@example.org")
    with app.app_context():
        assert "nobody" not in str([job.args for job in db.session().scalars(sa.select(Job))])
    with time_machine.travel(utcnow() + timedelta(hours=49), tick=False):
        ask(client, GRACE)
    with app.app_context():
        assert db.session().scalars(sa.select(SignIn.email)).all() == [GRACE]


def test_the_order_of_the_list(app: Flask, client: PageClient, post: Post, ada: Builder) -> None:
    with app.app_context():
        for title, days in (("Past", -2), ("Later", 9), ("Soon", 2)):
            booking = make_booking(db.session(), builder=ada, title=title, now=utcnow())
            start = utcnow() + timedelta(days=days)
            slot = facts(booking, starts_at=start, ends_at=start + timedelta(hours=1))
            schedule(db.session(), booking, now=utcnow(), starts_at=slot.starts_at, ends_at=slot.ends_at)
        make_booking(db.session(), builder=ada, title="Open", now=utcnow())
    signed_in(client, post)
    page = client.page("/my-bookings")
    assert [link.text for link in page.select(".row__what a")] == ["Soon", "Later", "Open", "Past"]
    assert [h2.text for h2 in page.select("main h2")] == ["Coming up", "Past"]


def test_a_builders_log_in_and_a_clients_are_two_things(
    client: PageClient, post: Post, booked: Booking
) -> None:
    signed_in(client, post)
    assert client.get("/dashboard").status_code == 303
