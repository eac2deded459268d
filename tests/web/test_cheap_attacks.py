"""What is cheap for an attacker is cheap for us: passwords are verified beside the writers, and few at a time."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask import Flask
from werkzeug.test import TestResponse

from bookingapp.accounts import passwords
from bookingapp.accounts.models import Account
from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.extensions import limiter
from tests import fakes
from tests.factories import PASSWORD, QUICK_HASHER, make_booking, make_builder
from tests.pages import PageClient, parse
from tests.web.conftest import Offer

LONG = 60  # Seconds: a bound for what hangs.


class SlowHasher:
    """Verifies when it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.at_once = self.most = 0
        self._lock = threading.Lock()

    def verify(self, known: str, password: str) -> bool:
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        self.entered.release()
        assert self.gate.wait(LONG)
        with self._lock:
            self.at_once -= 1
        return QUICK_HASHER.verify(known, password)

    def __getattr__(self, name: str) -> Any:
        return getattr(QUICK_HASHER, name)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowHasher:
    """Passwords take as long to verify as the test wants."""
    hasher = SlowHasher()
    monkeypatch.setattr(passwords, "_hasher", hasher)
    return hasher


def start_log_in(
    app: Flask, number: int, password: str = PASSWORD, *, account: str = "ada-okonkwo"
) -> TestResponse:
    """One person's log-in, from an address of their own."""
    client = app.test_client()
    assert isinstance(client, PageClient)
    how = {"environ_base": {"REMOTE_ADDR": f"192.0.2.{number + 1}"}}
    return client.submit("/login", {"email": f"{account}@example.com", "password": password}, **how)


@pytest.mark.any_database
def test_a_log_in_stops_no_writer(app: Flask, ada: Offer, slow: SlowHasher) -> None:
    """While a password is verified, another transaction begins, writes and ends."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(start_log_in, app, 0)
        try:
            assert slow.entered.acquire(timeout=LONG)
            with app.app_context():
                make_booking(db.session(), now=utcnow())
            assert not answer.done()
        finally:
            slow.gate.set()
        assert answer.result(LONG).status_code == 303


def test_few_passwords_at_a_time(
    app: Flask, ada: Offer, slow: SlowHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some wait, and the others are told at once to try again."""
    monkeypatch.setattr(passwords, "PATIENCE_SECONDS", LONG)
    refused = 4
    # The log-ins of one account have a quota of their own.
    accounts = [f"builder-{n}" for n in range(passwords.WAITING_OR_VERIFIED + refused)]
    with app.app_context():
        for slug in accounts:
            make_builder(db.session(), slug=slug)
    with ThreadPoolExecutor(len(accounts)) as pool:
        answers = [pool.submit(start_log_in, app, n, account=account) for n, account in enumerate(accounts)]
        try:
            early = [answer.result() for answer in itertools.islice(as_completed(answers, LONG), refused)]
        finally:
            slow.gate.set()
        statuses = sorted(answer.result(LONG).status_code for answer in answers)
    assert statuses == [303] * passwords.WAITING_OR_VERIFIED + [503] * refused
    assert slow.most == passwords.VERIFIED_AT_ONCE
    for answer in early:
        assert int(answer.headers["Retry-After"]) > 0
        assert "Many people are logging in right now" in parse(answer).words


def test_who_waits_is_told_soon(
    app: Flask, ada: Offer, slow: SlowHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "PATIENCE_SECONDS", 0.01)
    with ThreadPoolExecutor(passwords.VERIFIED_AT_ONCE) as pool:
        answers = [pool.submit(start_log_in, app, n) for n in range(passwords.VERIFIED_AT_ONCE)]
        try:
            for _ in answers:
                assert slow.entered.acquire(timeout=LONG)
            assert start_log_in(app, 100).status_code == 503
        finally:
            slow.gate.set()
        assert {answer.result(LONG).status_code for answer in answers} == {303}


def test_a_password_that_changes_meanwhile(app: Flask, ada: Offer, slow: SlowHasher) -> None:
    """The old one logs nobody in."""
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(start_log_in, app, 0)
        try:
            assert slow.entered.acquire(timeout=LONG)
            with app.app_context(), transaction(db.session()) as session:
                session.execute(
                    sa.update(Account).values(password_hash=QUICK_HASHER.hash("another-password"))
                )
        finally:
            slow.gate.set()
        assert answer.result(LONG).status_code == 422


def test_a_weak_hash_is_made_anew(app: Flask, ada: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first log-in after the parameters were raised."""
    stronger = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "_hasher", stronger)
    assert start_log_in(app, 0).status_code == 303
    with app.app_context():
        known = db.session().scalar(sa.select(Account.password_hash)) or ""
    assert not stronger.check_needs_rehash(known)
    assert start_log_in(app, 1).status_code == 303


def test_what_nobody_has_booked_is_not_counted(
    app: Flask, client: PageClient, ada: Offer, book: Callable[..., Booking], stripe_wire: fakes.Stripe
) -> None:
    """The limit of checks is the booking's; addresses that are made up leave nothing behind."""
    token = {"csrf_token": client.token()}
    before = set(limiter.storage.storage)  # type: ignore[attr-defined]
    for number in range(20):
        assert client.post(f"/bookings/{'x' * 3000}{number}/check", data=token).status_code == 404
    assert set(limiter.storage.storage) == before  # type: ignore[attr-defined]
    paths = [f"/bookings/{book(Status.CANCELED).ref}/check" for _ in range(2)]
    answers = [client.post(path, data=token).status_code for path in paths for _ in range(7)]
    assert answers == ([303] * 6 + [429]) * 2
