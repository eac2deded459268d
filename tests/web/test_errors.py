"""The error pages: useful, without internals, and working when the database does not."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urljoin

import pytest
import time_machine
from flask import Flask

from bookingapp.bookings.states import Status
from bookingapp.core import logs
from bookingapp.core.clock import utcnow
from tests.pages import HTMX, PageClient, new_client, parse
from tests.web.conftest import Book, Offer, without_table

SECRET = "the-database-password"


@pytest.fixture
def broken(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: object, **__: object) -> None:
        raise RuntimeError(f"{SECRET} grace@example.org")

    monkeypatch.setattr("bookingapp.directory.service.find_page", bug)


@pytest.fixture
def nowhere(app_with: Callable[..., Flask]) -> PageClient:
    """An application whose database does not answer."""
    return new_client(app_with(database_url=f"postgresql://user:{SECRET}@127.0.0.1:1/nothing"))


def test_there_is_nothing_here(client: PageClient) -> None:
    page = client.page("/nothing-here", status=404)
    assert "There is nothing at this address" in page.words
    assert page.select("a[href='/']")


def test_a_bug(client: PageClient, broken: None, capsys: pytest.CaptureFixture[str]) -> None:
    """500: the page shows a number, under which the log has the rest, with secrets masked."""
    logs.configure(as_json=True)
    answer = client.get("/")
    page = parse(answer)
    assert answer.status_code == 500
    assert answer.headers["Cache-Control"] == "no-store"
    for inside in (SECRET, "RuntimeError", "Traceback", "directory", ".py"):
        assert inside not in answer.text
    number = page.one("code").text
    assert number == answer.headers["X-Request-Id"]
    assert page.one("p.fine").text.strip().endswith(number), "nothing follows it that one might copy"
    written = capsys.readouterr().err
    assert number in written
    assert "RuntimeError" in written
    assert "grace@example.org" not in written


@pytest.mark.parametrize("path", ["/", "/builders/ada", "/builders/ada/session-types", "/bookings/nothing"])
def test_the_database_is_away(nowhere: PageClient, path: str) -> None:
    nowhere.set_cookie("other", "x")
    answer = nowhere.get(path)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    for inside in (SECRET, "127.0.0.1:1", "psycopg", "Operational"):
        assert inside not in answer.text
    assert "Please try again in a moment" in parse(answer).words


@pytest.mark.parametrize("path", ["/?skill=Rust&page=2", "/builders/ada?timezone=Asia/Tokyo"])
def test_try_again_asks_for_the_same_address(nowhere: PageClient, path: str) -> None:
    """With its query, which the page itself does not repeat."""
    answer = nowhere.get(path)
    link = next(one for one in parse(answer).select("a.button") if one.text == "Try again")
    assert urljoin(f"http://127.0.0.1{path}", str(link["href"])) == f"http://127.0.0.1{path}"
    assert "Rust" not in answer.text
    assert "Tokyo" not in answer.text


def test_it_lives_without_a_database(nowhere: PageClient, caplog: pytest.LogCaptureFixture) -> None:
    assert nowhere.get("/healthz").status_code == 200
    answer = nowhere.get("/readyz")
    assert (answer.status_code, (answer.json or {})["status"]) == (503, "unavailable")
    assert (answer.json or {})["database"] == "unreachable"
    nowhere.get("/")
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    assert "unreachable" in [line["kind"] for line in lines if line["event"] == "database_unavailable"]
    assert SECRET not in answer.text


def test_the_lines_of_a_bookings_page_carry_its_number(
    client: PageClient, book: Book, caplog: pytest.LogCaptureFixture
) -> None:
    """Never its reference, which is a key; the next request has none."""
    booking = book(Status.CANCELED)
    client.page(f"/bookings/{booking.ref}")
    client.page("/nothing-here", status=404)
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    first, second = [line for line in lines if line["event"] == "request"]
    assert first["booking"] == booking.id
    assert "booking" not in second
    assert booking.ref not in caplog.text


def test_too_many(client: PageClient, book: Book) -> None:
    """429 with the wait, as a page; the health check is never limited."""
    booking = book(Status.CANCELED)
    token = client.token()
    # The minute does not end between them.
    with time_machine.travel(utcnow(), tick=False):
        answers = [client.post(f"/bookings/{booking.ref}/pay", data={"csrf_token": token}) for _ in range(31)]
    assert {answer.status_code for answer in answers[:30]} == {409}
    assert not any("Retry-After" in answer.headers for answer in answers[:30])
    last = answers[-1]
    assert last.status_code == 429
    assert int(last.headers["Retry-After"]) > 0
    assert "Please try again in" in parse(last).words
    assert {client.get("/healthz").status_code for _ in range(50)} == {200}


def test_a_fragment_gets_no_page(client: PageClient, broken: None, nowhere: PageClient) -> None:
    """htmx gets a paragraph that fits into a page."""
    bug = client.get("/", headers=HTMX)
    away = nowhere.get("/bookings/some-reference/status", headers=HTMX)
    assert (bug.status_code, away.status_code) == (500, 503)
    for answer in (bug, away):
        assert parse(answer).find(["html", "head", "body", "main"]) is None
        assert "Vary" in answer.headers


@pytest.mark.parametrize(("method", "path"), [("GET", "/logout"), ("POST", "/"), ("DELETE", "/login")])
def test_a_wrong_method(client: PageClient, method: str, path: str) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code in (400, 405)
    if answer.status_code == 405:
        assert answer.headers["Allow"]


def test_a_form_that_is_too_large(client: PageClient, ada: Offer) -> None:
    answer = client.post(f"{ada.detail('PAID')}/book", data={"name": "x" * (1024 * 1024 + 1)})
    assert answer.status_code == 413
    assert "too large" in parse(answer).words


def test_a_table_that_is_missing_is_a_fault_of_ours(app: Flask, client: PageClient, ada: Offer) -> None:
    with without_table(app, "builders"):
        answer = client.get("/")
    assert answer.status_code in (500, 503)
    words = parse(answer).words.replace("See all builders", "").lower()
    assert "builders" not in words.replace("for builders", "")
