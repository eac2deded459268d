"""A builder's bookings as a CSV file and as a calendar."""

from __future__ import annotations

import csv
import gc
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.core.db import db, transaction
from bookingapp.dashboard import csv_file
from bookingapp.dashboard.calendar import load_month, load_week, month_of, week_of
from bookingapp.session_types.models import Pathway
from tests.pages import PageClient
from tests.web.conftest import Book, Offer


def move(app: Flask, booking: Booking, start: datetime) -> None:
    with app.app_context(), transaction(db.session()) as session:
        row = session.get_one(Booking, booking.id)
        row.starts_at, row.ends_at = start, start + timedelta(hours=1)


def set_zone(app: Flask, offer: Offer, name: str) -> None:
    with app.app_context(), transaction(db.session()) as session:
        session.get_one(Builder, offer.builder.id).timezone = name


@pytest.mark.any_database
def test_the_file(
    app: Flask, browser: PageClient, ada: Offer, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every row once, in pieces; amounts as decimals; times in UTC and in the builder's zone; no client's key."""
    monkeypatch.setattr(csv_file, "AT_ONCE", 2)
    set_zone(app, ada, "Europe/Berlin")
    made = [book(Status.CONFIRMED) for _ in range(5)]
    move(app, made[0], datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
    answer = browser.get("/dashboard/bookings.csv?sort=latest")
    assert answer.mimetype == "text/csv"
    assert "Content-Length" not in answer.headers
    assert answer.data.startswith(b"\xef\xbb\xbf")
    head, *rows = csv.reader(io.StringIO(answer.data.decode("utf-8-sig")))
    assert {row[0] for row in rows} == {one.tracking_id for one in made}
    assert len(rows) == 5
    row = dict(zip(head, rows[-1], strict=True))
    assert (row["Amount"], row["Currency"], row["Status"], row["Payment"]) == (
        "60.00",
        "GBP",
        "Confirmed",
        "No payment",
    )
    assert row["Start (UTC)"] == "2026-10-25T01:30:00Z"
    assert row["Start (Europe/Berlin)"] == "2026-10-25 02:30+01:00"
    assert not any(one.ref in answer.text for one in made)


@pytest.fixture
def no_garbage() -> Iterator[None]:
    """Python does not search for garbage, which would give connections back by chance."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.any_database
@pytest.mark.parametrize("number", [0, 2])
def test_a_file_gives_its_connection_back(
    app: Flask,
    browser: PageClient,
    book: Book,
    monkeypatch: pytest.MonkeyPatch,
    no_garbage: None,
    number: int,
) -> None:
    """Also one that ends with an empty piece: 33 would leave none for anybody."""
    monkeypatch.setattr(csv_file, "AT_ONCE", 2)
    for _ in range(number):
        book(Status.CONFIRMED)
    for _ in range(33):
        assert browser.get("/dashboard/bookings.csv").status_code == 200
    assert browser.get("/dashboard/bookings").status_code == 200


def test_the_file_has_the_pathway(browser: PageClient, book: Book) -> None:
    book(Status.CONFIRMED, pathway=Pathway.PIVOT, client_name="Chooser")
    book(Status.CONFIRMED, client_name="Other")
    rows = csv.DictReader(io.StringIO(browser.get("/dashboard/bookings.csv").data.decode("utf-8-sig")))
    assert {row["Client"]: row["Pathway"] for row in rows} == {
        "Chooser": "Pivot: change to other work",
        "Other": "",
    }


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", '=1,2"3', "\N{FULLWIDTH EQUALS SIGN}1"]
)
def test_no_cell_is_a_formula(browser: PageClient, book: Book, name: str) -> None:
    book(Status.CONFIRMED, client_name=name)
    _, row = csv.reader(io.StringIO(browser.get("/dashboard/bookings.csv").data.decode("utf-8-sig")))
    assert row[2] == f"'{name}"
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


@pytest.mark.parametrize("name", ["x;=1+1", "x; @SUM(A1);-2"])
def test_no_part_of_a_cell_is_a_formula_where_semicolons_separate(
    browser: PageClient, book: Book, name: str
) -> None:
    """Excel splits there in much of Europe."""
    book(Status.CONFIRMED, client_name=name)
    lines = browser.get("/dashboard/bookings.csv").data.decode("utf-8-sig").splitlines()
    parts = [part.strip(' "') for part in lines[1].split(";")]
    assert len(parts) > 1
    assert not any(part.startswith(("=", "+", "-", "@")) for part in parts)


def test_a_month_in_the_builders_zone(app: Flask, browser: PageClient, ada: Offer, book: Book) -> None:
    """A session late in the evening belongs to the builder's day. November 2026 begins on a Sunday."""
    set_zone(app, ada, "Asia/Tokyo")
    found, canceled = book(Status.CONFIRMED), book(Status.CONFIRMED)
    move(app, found, datetime(2026, 10, 31, 15, 30, tzinfo=UTC))
    move(app, canceled, datetime(2026, 11, 20, 15, 30, tzinfo=UTC))
    with app.app_context(), transaction(db.session()) as session:
        session.get_one(Booking, canceled.id).status = Status.CANCELED
    page = browser.page("/dashboard/bookings/calendar?month=2026-11")
    assert "Tokyo time" in page.words
    assert page.one("caption").text == "November 2026"
    (item,) = page.select("[data-booking-ref]")
    day = item.find_parent("td")
    assert day is not None
    assert day.select("time")[0]["datetime"] == "2026-11-01"
    assert "00:30" in item.text
    weeks = page.select("tbody tr")
    assert [len(week.select("td")) for week in weeks] == [7] * 6
    assert weeks[0].select("time")[0]["datetime"] == "2026-10-26"


@pytest.mark.parametrize(
    ("query", "links"),
    [
        ("month=2026-12", ["month=2026-11", "month=2027-01"]),
        ("month=2026-01", ["month=2025-12", "month=2026-02"]),
        ("week=2026-11-25", ["week=2026-11-16", "week=2026-11-30"]),
    ],
)
def test_the_sheets_beside_it(browser: PageClient, query: str, links: list[str]) -> None:
    page = browser.page(f"/dashboard/bookings/calendar?{query}")
    found = [str(page.one(f"a[rel={rel}]")["href"]).rpartition("?")[2] for rel in ("prev", "next")]
    assert found == links


@pytest.mark.parametrize("query", ["month=x", "month=2026-13", "week=x", "month=0001-01", "week=9999-12-31"])
def test_an_odd_address_is_the_present_month(browser: PageClient, query: str) -> None:
    assert browser.page(f"/dashboard/bookings/calendar?{query}").select("table")


@pytest.mark.any_database
@pytest.mark.parametrize("zone", ["Europe/London", "Pacific/Apia"])
def test_each_session_is_on_its_local_day_whatever_the_clocks_do(
    app: Flask, ada: Offer, book: Book, zone: str
) -> None:
    """Sessions at all hours of two weeks in which clocks change, in the month and in its weeks."""
    with app.app_context():
        first = datetime(2026, 10, 22, tzinfo=UTC)
        made = {}
        for number in range(0, 24 * 12, 31):
            booking = book(Status.CONFIRMED)
            made[booking.tracking_id] = start = first + timedelta(hours=number)
            move(app, booking, start)
        days = {mark: start.astimezone(ZoneInfo(zone)).date() for mark, start in made.items()}
        shown: dict[str, date] = {}
        for month in ("2026-10", "2026-11"):
            at = month_of(month)
            assert at is not None
            sheet = load_month(db.session(), ada.builder.id, zone, at, now=first)
            shown |= {row.tracking_id: day.date for week in sheet.weeks for day in week for row in day.rows}
        assert shown == days
        by_week: dict[str, date] = {}
        monday = week_of("2026-10-21")
        assert monday == date(2026, 10, 19)
        for number in range(4):
            sheet = load_week(db.session(), ada.builder.id, zone, monday + timedelta(weeks=number), now=first)
            by_week |= {row.tracking_id: day.date for day in sheet.weeks[0] for row in day.rows}
        assert by_week == days
