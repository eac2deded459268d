"""Guessing passwords: by account, by address, with a wait that grows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from werkzeug.test import TestResponse

from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from tests.factories import PASSWORD, make_builder
from tests.pages import PageClient, new_client, parse
from tests.web.conftest import Offer

ADA, NOBODY = "ada-okonkwo@example.com", "nobody@example.com"


@pytest.fixture
def traveller() -> Iterator[time_machine.Traveller]:
    """Time that the test moves."""
    with time_machine.travel(utcnow(), tick=False) as traveller:
        yield traveller


def log_in(app: Flask, email: str, password: str = "guess", address: int = 1) -> TestResponse:
    """From a browser of its own."""
    browser = new_client(app)
    browser.environ_base["REMOTE_ADDR"] = f"198.51.{address // 250}.{address % 250 + 1}"
    return browser.submit("/login", {"email": email, "password": password})


@pytest.mark.parametrize("email", [ADA, NOBODY])
def test_guessing_at_one_account_from_everywhere(
    app: Flask, ada: Offer, traveller: time_machine.Traveller, email: str
) -> None:
    """Five in a minute, ten in a quarter of an hour, twenty in an hour. It is the same for an account that is none."""
    waits, tries = [], 0
    for _ in range(4):
        while (answer := log_in(app, email, address=tries)).status_code == 422:
            tries += 1
        assert answer.status_code == 429
        assert "That was too often. Please try again in" in parse(answer).words
        waits.append((tries, int(answer.headers["Retry-After"])))
        traveller.shift(timedelta(seconds=waits[-1][1] + 1))
    assert [number for number, _ in waits] == [5, 10, 15, 20]
    assert waits[0][1] <= 60
    assert 12 * 60 < waits[1][1] <= 15 * 60
    assert 25 * 60 < waits[3][1] <= 60 * 60


def test_the_right_password_ends_the_count(app: Flask, ada: Offer) -> None:
    """Somebody who mistypes now and then is never kept out, in whatever spelling of the address."""
    for address in range(3):
        for email in (ADA, ADA.upper(), ADA, ADA):
            assert log_in(app, email, address=address).status_code == 422
        assert log_in(app, ADA, PASSWORD, address=address).status_code == 303


def test_another_account_of_the_mailbox_does_not_end_the_count(app: Flask, ada: Offer) -> None:
    """Where a + is a letter like any other, it may be a stranger's."""
    tagged = ADA.replace("@", "+eve@")
    with app.app_context():
        make_builder(db.session(), slug="eve", email=tagged)
    for number in range(5):
        assert log_in(app, ADA, address=number).status_code == 422
    assert log_in(app, tagged, PASSWORD, address=9).status_code == 303
    assert log_in(app, ADA, address=10).status_code == 429


def test_invisible_characters_are_no_other_account(app: Flask, ada: Offer) -> None:
    """They are removed from the address that is looked up, so they begin no new count."""
    spelled = [
        f"ada{mark}-okonkwo@example.com" for mark in ("", "\u200b", "\u00ad", "\u2060", "\ufeff", "\u200e")
    ]
    answers = [log_in(app, email, address=number).status_code for number, email in enumerate(spelled)]
    assert answers == [422] * 5 + [429]


def test_guesses_at_the_same_moment(app: Flask, ada: Offer) -> None:
    """No more than five are checked."""
    all_ready = threading.Barrier(12, timeout=30)

    def guess(number: int) -> int:
        all_ready.wait()
        return log_in(app, ADA, address=number).status_code

    with ThreadPoolExecutor(12) as pool:
        assert sorted(pool.map(guess, range(12))) == [422] * 5 + [429] * 7


def test_guessing_at_all_accounts_from_one_address(
    app: Flask, client: PageClient, ada: Offer, traveller: time_machine.Traveller
) -> None:
    """Thirty failures in a quarter of an hour; another address is another matter."""
    for number in range(30):
        assert log_in(app, f"builder{number}@example.com").status_code == 422
        traveller.shift(timedelta(seconds=10))
    refused = log_in(app, ADA, PASSWORD)
    assert refused.status_code == 429
    assert 5 * 60 < int(refused.headers["Retry-After"]) <= 15 * 60
    assert log_in(app, ADA, PASSWORD, address=2).status_code == 303


def test_a_strangers_guesses_do_not_keep_the_owner_out(
    app: Flask, client: PageClient, ada: Offer, traveller: time_machine.Traveller
) -> None:
    """A browser that has logged in before has tries of its own, and its address is not counted; it cannot guess without
    end either.
    """
    client.environ_base["REMOTE_ADDR"] = "198.51.0.2"
    assert client.submit("/login", {"email": ADA, "password": PASSWORD}).status_code == 303
    client.post("/logout", data={"csrf_token": client.token("/my-bookings")})
    for number in range(30):
        log_in(app, f"builder{number}@example.com")
        traveller.shift(timedelta(seconds=10))
    while log_in(app, ADA, address=9).status_code == 422:
        pass
    assert log_in(app, ADA, PASSWORD).status_code == 429
    statuses = [client.submit("/login", {"email": ADA, "password": "guess"}).status_code for _ in range(6)]
    assert statuses == [422] * 5 + [429]
    traveller.shift(timedelta(minutes=1))
    assert client.submit("/login", {"email": ADA, "password": PASSWORD}).status_code == 303


def test_a_browser_is_known_to_its_own_accounts_only(app: Flask, client: PageClient, ada: Offer) -> None:
    """Who has an account has no further tries at another's."""
    with app.app_context():
        make_builder(db.session(), slug="eve")
    assert client.submit("/login", {"email": "eve@example.com", "password": PASSWORD}).status_code == 303
    client.post("/logout", data={"csrf_token": client.token("/my-bookings")})
    for number in range(5):
        assert log_in(app, ADA, address=number).status_code == 422
    assert client.submit("/login", {"email": ADA, "password": PASSWORD}).status_code == 429
