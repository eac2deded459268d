"""Log in, log out, and how long that lasts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from bookingapp.accounts.models import Account, LogIn
from bookingapp.core.db import db, transaction
from tests.factories import PASSWORD, make_account, make_builder
from tests.live import press
from tests.pages import PageClient, new_client, parse
from tests.web.conftest import LogInAs, Offer

EMAIL = "ada-okonkwo@example.com"


def try_with(client: PageClient, email: str, password: str, query: str = "") -> tuple[int, str]:
    """Log in; the status, and where the browser is sent or what it reads."""
    answer = client.submit(f"/login{query}", {"email": email, "password": password})
    return answer.status_code, answer.location or parse(answer).words


@pytest.mark.parametrize("email", [EMAIL, EMAIL.upper(), f"  {EMAIL} "])
def test_a_good_log_in(client: PageClient, ada: Offer, email: str) -> None:
    """On to the dashboard; a browser that is logged in does not see the form."""
    assert try_with(client, email, PASSWORD) == (303, "/dashboard")
    assert "Hello, Ada Okonkwo" in client.page("/dashboard").words
    assert client.get("/login").location == "/dashboard"


@pytest.mark.parametrize(
    ("email", "password"),
    [(EMAIL, "wrong-password"), ("nobody@example.com", PASSWORD), (EMAIL, PASSWORD.upper())],
)
def test_a_bad_log_in(client: PageClient, ada: Offer, email: str, password: str) -> None:
    """One sentence for every way to be wrong; the page does not repeat the password and is not cached."""
    answer = client.submit("/login", {"email": email, "password": password})
    assert answer.status_code == 422
    assert "E-mail or password is wrong." in parse(answer).words
    assert password not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.get("/dashboard").status_code == 303


def test_an_empty_form(client: PageClient, ada: Offer) -> None:
    status, words = try_with(client, "", "")
    assert status == 422
    assert "Please enter your e-mail address." in words
    assert "Please enter your password." in words


def test_log_out(client: PageClient, ada: Offer, log_in: LogInAs) -> None:
    """Ends it here and in the database: a cookie that was copied before is worth nothing."""
    log_in(ada)
    copied = client.get_cookie("session")
    assert copied is not None
    assert press(client, "/logout").location == "/"
    assert client.get("/dashboard").status_code == 303
    client.set_cookie("session", copied.value)
    assert client.get("/dashboard").status_code == 303


@pytest.mark.parametrize(("requests", "apart", "last"), [(3, 119, 126), (23, 60, 61)], ids=["idle", "day"])
def test_time_ends_a_log_in(client: PageClient, ada: Offer, requests: int, apart: int, last: int) -> None:
    """Two idle hours; and a day, however busy it was."""
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        assert try_with(client, EMAIL, PASSWORD)[0] == 303
        for _ in range(requests):
            clock.shift(timedelta(minutes=apart))
            assert client.get("/dashboard").status_code == 200
        clock.shift(timedelta(minutes=last))
        assert client.get("/dashboard").status_code == 303


def test_a_log_in_can_be_ended_from_our_side(
    app: Flask, client: PageClient, ada: Offer, log_in: LogInAs
) -> None:
    log_in(ada)
    with app.app_context(), transaction(db.session()) as session:
        session.execute(sa.delete(LogIn))
    assert client.get("/dashboard").status_code == 303


def test_what_is_stored_is_no_log_in(app: Flask, client: PageClient, ada: Offer, log_in: LogInAs) -> None:
    """The database has neither the password nor the cookie's secret."""
    log_in(ada)
    with client.session_transaction() as cookie:
        token = cookie["log_in"]
    with app.app_context():
        stored = db.session().scalars(sa.select(LogIn)).one().token_hash
        account = db.session().scalars(sa.select(Account)).one()
    assert token not in stored
    assert account.password_hash.startswith("$argon2id$")
    assert PASSWORD not in account.password_hash


def test_nothing_planted_before_lives_on(client: PageClient, ada: Offer, log_in: LogInAs) -> None:
    with client.session_transaction() as cookie:
        cookie["planted"] = "before"
    log_in(ada)
    with client.session_transaction() as cookie:
        assert "planted" not in cookie


def test_a_log_in_replaces_the_one_before(
    app: Flask, client: PageClient, ada: Offer, kenji: Offer, log_in: LogInAs
) -> None:
    """In a second tab, as somebody else: nobody could log the first one out any more."""
    log_in(ada)
    with client.session_transaction() as cookie:
        before = cookie["log_in"]
    form = {"email": "kenji-mori@example.com", "password": PASSWORD}
    assert press(client, "/login", form).status_code == 303
    assert "Kenji Mori" in client.page("/dashboard/profile").one("#display_name")["value"]
    copied = new_client(app)
    with copied.session_transaction() as cookie:
        cookie["log_in"] = before
    assert copied.get("/dashboard").location.startswith("/login")


def test_back_to_where_one_was(client: PageClient, ada: Offer) -> None:
    answer = client.get("/dashboard/bookings?status=paid")
    assert answer.status_code == 303
    path = str(client.page(answer.location).one("main form")["action"])
    form = {"email": EMAIL, "password": PASSWORD}
    assert client.submit(path, form).location == "/dashboard/bookings?status=paid"


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("josé@example.com", "Jose\u0301@example.com"),  # As some keyboards write an accent.
        ("kim@bücher.example", "kim@xn--bcher-kva.example"),
        ("kim@bücher.example", "kim@bu\u0308cher.example"),
        ("kim@example.com", "kim@\uff45xample.com"),
    ],
)
def test_every_spelling_of_an_address_logs_in(
    app: Flask, client: PageClient, stored: str, typed: str
) -> None:
    """As everywhere else where an address is entered. Guesses in all of them are counted together."""
    with app.app_context():
        make_account(db.session(), email=stored)
    assert client.submit("/login", {"email": typed, "password": PASSWORD}).status_code == 303
    guesses = [
        new_client(app).submit("/login", {"email": email, "password": "x"}) for email in [stored, typed] * 3
    ]
    assert [answer.status_code for answer in guesses] == [422] * 5 + [429]


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/dashboard//evil.example",
        "/dashboard\\@evil.example",
        "javascript:alert(1)",
        "/dashboardevil",
        "dashboard",
        "/dashboard\r\nSet-Cookie: a=b",
        "/dashboard/../../evil",
        "\t//evil.example",
        "https:/dashboard",
        "/logout",
        "",
    ],
)
def test_the_log_in_leads_into_the_dashboard(client: PageClient, ada: Offer, target: str) -> None:
    form = {"email": EMAIL, "password": PASSWORD}
    answer = client.submit("/login", form, query_string={"next": target})
    assert answer.status_code == 303
    assert answer.location == "/dashboard"
    assert "Set-Cookie: a=b" not in str(answer.headers)


def test_guessing_is_slowed_down(client: PageClient, ada: Offer) -> None:
    """After five tries in a minute the next is 429, in words, with the wait; also the right password."""
    token = client.token()
    data = {"csrf_token": token, "email": EMAIL, "password": "guess"}
    statuses = [client.post("/login", data=data).status_code for _ in range(5)]
    assert set(statuses) == {422}
    answer = client.post("/login", data={**data, "password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "That was too often. Please try again in" in parse(answer).words
    assert client.get("/dashboard").status_code == 303


def test_an_account_without_a_profile(app: Flask, client: PageClient, ada: Offer) -> None:
    with app.app_context():
        other = make_builder(db.session(), slug="gone")
        with transaction(db.session()) as session:
            session.execute(sa.delete(type(other)).where(type(other).id == other.id))
    assert try_with(client, "gone@example.com", PASSWORD)[0] == 303
    assert client.get("/dashboard").status_code == 404
