"""Hostile input from a client whose address is verified, and whose session has begun, by every method: never a 500."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.worker import run_due
from tests import fakes
from tests.mailbox import Mailbox, link
from tests.pages import HTMX, PageClient
from tests.web.conftest import Book, Offer, change
from tests.web.test_every_route import FUZZ, ODD_TEXT, send_odd

GRACE = "grace@example.org"
PATHS = (
    "/bookings/{ref}",
    "/bookings/{ref}/status",
    "/bookings/{ref}/absence",
    "/bookings/{ref}/attendance",
    "/bookings/{ref}/again",
    "/bookings/{ref}/session.ics",
    "/bookings/{ref}/cancel",
    "/bookings/{ref}/schedule",
    "/bookings/{pending}/times",
    "/my-bookings",
    "/my-bookings/data",
    "/my-bookings/erase",
    "/my-bookings/erased",
    "/builders/ada-okonkwo/session-types/PAID",
    "/builders/ada-okonkwo/session-types/PAID/book",
    "/builders/ada-okonkwo/session-types/PAID/times",
    "/privacy",
    "/sitemap.xml",
)
METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "FOO", "get")
NAMES = (
    *(
        "lang",
        "came",
        "sure",
        "month",
        "timezone",
        "start",
        "time",
        "start_time",
        "pathway",
        "way",
        "n",
        "page",
    ),
    *("name", "email", "location", "answer-0", "guests"),
)
ENCODINGS = ("utf-8", "utf-16", "cp037")
BODIES = (
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "application/json",
    "text/plain",
)
LONG = "A" * 70_000
VALID = ("0", "1", "y", "2026-12", "Asia/Tokyo", "2026-12-01T10:00:00Z", "es", "pivot")


class Grace:
    """The client's browser, from an address that no limit knows yet."""

    def __init__(self, client: PageClient, names: dict[str, str]) -> None:
        self.client, self.names = client, names
        self.token = client.token()
        cookie = client.get_cookie("session")
        assert cookie is not None
        self.cookie = cookie.value
        self.requests = itertools.count(1)

    def send(self, method: str, pattern: str, query: str, **how: Any) -> None:
        path = pattern.format(**self.names)
        send_odd(self.client, self.cookie, next(self.requests), method, path, query, **how)


@pytest.fixture
def grace(
    app: Flask,
    client: PageClient,
    ada: Offer,
    book: Book,
    mails: Mailbox,
    stripe_wire: fakes.Stripe,
) -> Grace:
    begun, pending = book(Status.CONFIRMED, client_email=GRACE), book(client_email=GRACE)
    start = utcnow() - timedelta(minutes=20)
    change(app, begun, starts_at=start, ends_at=start + timedelta(hours=1))
    assert client.submit("/my-bookings", {"email": GRACE}).status_code == 303
    run_due(app)
    assert client.submit(link(mails.to(GRACE)[-1])).status_code == 303
    assert client.page("/my-bookings/erase").select("form[action='/my-bookings/erase']") == []
    assert client.page(f"/bookings/{begun.ref}").select("#builder-absent-button")
    return Grace(client, {"ref": begun.ref, "pending": pending.ref})


@pytest.mark.any_database
def test_every_method_and_encoding(app: Flask, grace: Grace) -> None:
    """What is large, is no text, is none of the form's encoding, or is a form where none is expected."""
    odd = ("a\0b", "ß→\U0001f9ff", "9" * 3000, "\u202e\x1f")
    for pattern, method in itertools.product(PATHS, METHODS):
        grace.send(method, pattern, "&".join(f"{name}=%00" for name in NAMES))
        grace.send(method, pattern, "&".join(f"{name}=%ff%fe" for name in NAMES), headers=HTMX)
    for pattern in PATHS:
        for text, encoding in itertools.product(odd, ENCODINGS):
            typed = quote(text.encode(encoding, "replace"))
            raw = f"csrf_token={grace.token}&" + "&".join(f"{name}={typed}" for name in NAMES)
            grace.send("POST", pattern, "", data=raw, content_type=f"{BODIES[0]}; charset={encoding}")
        for kind in BODIES:
            grace.send("POST", pattern, "", data=f"csrf_token={grace.token}&came=" + LONG, content_type=kind)
            grace.send("POST", pattern, "", data=b"\xff\x00--b\r\n\r\n", content_type=kind)
        grace.send("POST", pattern, "", data={"csrf_token": grace.token, **dict.fromkeys(NAMES, "\0")})
    with app.app_context():
        # Nothing of this was a valid wish.
        assert db.session().scalars(sa.select(Booking.absence_claim)).all() == [None, None]
        assert db.session().scalars(sa.select(Booking.erased_at)).all() == [None, None]


@pytest.mark.any_database
@FUZZ
@given(data=st.data())
def test_anything_a_client_can_send(app: Flask, grace: Grace, data: st.DataObject) -> None:
    """Valid fields beside odd ones, in any order: claims are made and taken back, and nothing breaks."""
    pattern = data.draw(st.sampled_from(PATHS), label="path")
    fields = data.draw(
        st.dictionaries(
            st.one_of(st.sampled_from(NAMES), ODD_TEXT),
            st.one_of(ODD_TEXT, st.sampled_from(VALID)),
            max_size=6,
        )
    )
    sent = {_text(name): _text(value) for name, value in fields.items()}
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sent.items())
    grace.send("GET", pattern, query)
    grace.send("POST", pattern, query, data={**sent, "csrf_token": grace.token})
    with app.app_context():
        # One of the bookings is open, so nothing is erased.
        assert set(db.session().scalars(sa.select(Booking.erased_at))) == {None}


def _text(value: str) -> str:
    """The same without what UTF-8 cannot write."""
    return value.encode("utf-8", "replace").decode()
