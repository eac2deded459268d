"""The list of a builder's bookings: every filter, order and page, against the same rows in plain Python."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.bookings.codes import FlagCode, PaymentStatus
from bookingapp.bookings.models import AttentionFlag, Booking, Slot
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.dashboard import list_statements, list_words
from bookingapp.dashboard.listing import Filters, Found, Sort, Wanted, find_page
from tests.factories import make_builder, make_session_type
from tests.pages import HTMX, PageClient
from tests.web.conftest import Book

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
NAMES = (
    "Ada Adler",
    "Émile Zola",
    "Grace Hall",
    "Grace Hall",
    "Grady O'Hara-Smith",
    "Zoë Brown",
    "anne khan",
)
SIZE = 9
ENDED = (Status.CANCELED, Status.EXPIRED)


def add(builder: Builder, types: list[int], dice: random.Random, number: int, **how: Any) -> Booking:
    """A booking with chance for every column that a list is made by."""
    start = NOW + timedelta(hours=dice.randint(-60, 60))
    mark = f"{builder.id:02}{number:022x}"
    values = {
        "starts_at": start if dice.random() < 0.85 else None,
        "created_at": NOW - timedelta(hours=dice.randint(1, 50)),
        "client_name": dice.choice(NAMES),
        "status": dice.choice(list(Status)),
        "payment_status": dice.choice(list(PaymentStatus)[:4]),
        "price_minor": dice.choice((0, 3000, 6000)),
        "currency": dice.choice(("GBP", "JPY")),
        **how,
    }
    row = Booking(
        ref=f"{number:032x}",
        tracking_id=mark,
        builder_id=builder.id,
        session_type_id=dice.choice(types),
        client_email=f"{number}@{'example.org' if number % 2 else 'mail.test'}",
        client_timezone="Europe/Berlin",
        title="A session",
        duration_minutes=60,
        event_type_uri="https://api.calendly.com/event_types/x",
        scheduling_url="https://calendly.com/x",
        policy={},
        slot=Slot.ACTIVE if values["starts_at"] else Slot.NONE,
        canceled_invitees=[],
        event_uri=f"https://api.calendly.com/scheduled_events/E{mark}",
        invitee_uri=f"https://api.calendly.com/scheduled_events/E{mark}/invitees/I{mark}",
        ends_at=values["starts_at"] + timedelta(hours=1) if values["starts_at"] else None,
        updated_at=NOW,
        **values,
    )
    db.session().add(row)
    return row


@pytest.fixture
def filled(app: Flask) -> Iterator[tuple[Builder, list[int]]]:
    """A builder with 60 bookings and another with 20."""
    with app.app_context():
        session = db.session()
        builders = [make_builder(session), make_builder(session)]
        types = [[make_session_type(session, one).id for _ in range(2)] for one in builders]
        dice = random.Random(7)
        with transaction(session):
            for number in range(80):
                which = int(number >= 60)
                add(builders[which], types[which], dice, number)
        session.expunge_all()
        yield builders[0], types[0]


Key = Callable[[Booking], Any]
ORDERS: dict[Sort, tuple[Key, bool]] = {
    Sort.NEXT: (lambda one: (one.starts_at, one.id), False),
    Sort.PAST: (lambda one: (one.starts_at, one.id), True),
    Sort.EARLIEST: (lambda one: (one.starts_at, one.id), False),
    Sort.LATEST: (lambda one: (one.starts_at, one.id), True),
    Sort.NEWEST: (lambda one: (one.created_at, one.id), True),
    Sort.OLDEST: (lambda one: (one.created_at, one.id), False),
    Sort.HIGHEST: (lambda one: (one.currency, one.price_minor, one.id), True),
    Sort.LOWEST: (lambda one: (one.currency, one.price_minor, one.id), False),
    Sort.NAME: (lambda one: (one.name_key, one.id), False),
    Sort.NAME_BACK: (lambda one: (one.name_key, one.id), True),
}


def expected(builder: Builder, sort: Sort, filters: Filters, *, has_time: bool = True) -> list[int]:
    """The ids of the list, by Python alone."""
    key, descends = ORDERS[sort]
    at: Key = (
        (lambda one: one.created_at) if sort in (Sort.NEWEST, Sort.OLDEST) else (lambda one: one.starts_at)
    )

    def belongs(one: Booking) -> bool:
        words = (
            " ".join((one.client_name, one.client_email, one.tracking_id))
            .casefold()
            .replace("-", " ")
            .split()
        )
        return (
            one.builder_id == builder.id
            and (one.starts_at is not None) == has_time
            and (filters.status is None or one.status is filters.status)
            and (filters.payment is None or one.payment_status is filters.payment)
            and (filters.session_type_id is None or one.session_type_id == filters.session_type_id)
            and (filters.begins is None or at(one) >= filters.begins)
            and (filters.ends is None or at(one) < filters.ends)
            and all(any(word.startswith(wanted) for word in words) for wanted in filters.words)
            and (sort is not Sort.NEXT or (one.ends_at or NOW) > NOW)
            and (sort is not Sort.NEXT or filters.status is not None or one.status not in ENDED)
            and (sort is not Sort.PAST or (one.ends_at or NOW) <= NOW)
        )

    rows = [one for one in db.session().scalars(sa.select(Booking)).all() if belongs(one)]
    db.session().rollback()
    return [one.id for one in sorted(rows, key=key, reverse=descends)]


def walk(wanted: Wanted, between: Callable[[], None] = lambda: None) -> tuple[list[Found], list[Found]]:
    """All rows forward, page by page, and all that lie before the last page, backward."""
    forward: list[Found] = []
    page = find_page(db.session(), wanted)
    forward += page.rows
    assert page.before is None
    last = page
    while last.after is not None:
        between()
        last = find_page(db.session(), Wanted(**{**vars(wanted), "cursor": last.after}))
        forward += last.rows
    backward: list[Found] = []
    while last.before is not None:
        last = find_page(db.session(), Wanted(**{**vars(wanted), "cursor": last.before}))
        backward[:0] = last.rows
    return forward, backward


NARROWED: list[dict[str, Any]] = [
    {},
    {"status": Status.CONFIRMED},
    {"payment": PaymentStatus.OPEN},
    {"status": Status.CANCELED, "payment": PaymentStatus.NONE},
    {"status": Status.PAID, "payment": PaymentStatus.DISPUTED},
    {"begins": NOW - timedelta(hours=30), "ends": NOW + timedelta(hours=20)},
    {"begins": NOW - timedelta(hours=9), "status": Status.COMPLETED},
    {"words": ("gra",)},
    {"words": ("gra", "smith")},
    {"words": ("khan",), "payment": PaymentStatus.NONE},
    {"words": ("nobody",)},
]


@pytest.mark.any_database
@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"FEW": 3, "FEW_FOUND": 3, "WINDOW": 3, "RARE": 3, "DENSE": 3},
        {"FEW": 3, "FEW_FOUND": 3, "RARE": 3, "WEEKS": 1, "WEEKS_AHEAD": 1},
        {"RARE": 3, "WEEKS": 2, "WEEKS_AHEAD": 1, "PAGES": 1},
    ],
    ids=["read and sorted", "read in order", "read by weeks", "read by the first of weeks"],
)
def test_every_order_and_filter(
    filled: tuple[Builder, list[int]],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    limits: dict[str, int],
) -> None:
    """Forward and back, each page once and in order, whatever way the rows are read."""
    for name, limit in limits.items():
        monkeypatch.setattr(list_statements if hasattr(list_statements, name) else list_words, name, limit)
    for statement in (
        list_statements.count_statement,
        list_statements.words_statement,
        list_statements.page_statement,
    ):
        # They have those numbers in them.
        statement.cache_clear()
        request.addfinalizer(statement.cache_clear)
    builder, types = filled
    for number, (sort, narrowed) in enumerate(itertools.product(Sort, NARROWED)):
        filters = Filters(**narrowed, session_type_id=types[0] if number % 2 else None)
        ids = expected(builder, sort, filters)
        forward, backward = walk(Wanted(builder.id, NOW, sort, filters, size=SIZE))
        assert [row.id for row in forward] == ids, f"{sort} {filters}"
        # Back from the last page, the first page is shown whole.
        assert [row.id for row in backward] == ids[: (len(ids) - 1) // SIZE * SIZE], f"{sort} {filters}"


@pytest.mark.any_database
def test_forms_without_a_time_stand_apart(filled: tuple[Builder, list[int]]) -> None:
    builder, types = filled
    for sort, narrowed in itertools.product((Sort.NEWEST, Sort.OLDEST), NARROWED[:5]):
        filters = Filters(**narrowed, session_type_id=types[1])
        wanted = Wanted(builder.id, NOW, sort, filters, has_time=False, size=SIZE)
        assert [row.id for row in walk(wanted)[0]] == expected(builder, sort, filters, has_time=False)


@pytest.mark.any_database
@pytest.mark.parametrize("sort", Sort)
def test_pages_miss_and_repeat_nothing_while_rows_are_inserted(
    filled: tuple[Builder, list[int]], sort: Sort
) -> None:
    builder, types = filled
    before = expected(builder, sort, Filters())
    numbers, dice = itertools.count(1000), random.Random(3)

    def insert() -> None:
        with transaction(db.session()) as session:
            for _ in range(3):
                add(builder, types, dice, next(numbers))
        session.expunge_all()

    forward, _ = walk(Wanted(builder.id, NOW, sort, size=SIZE), insert)
    seen = [row.id for row in forward]
    assert len(seen) == len(set(seen))
    assert [one for one in seen if one in set(before)] == before


def put_into_the_past(app: Flask, booking: Booking) -> None:
    with app.app_context(), transaction(db.session()) as session:
        row = session.get_one(Booking, booking.id)
        row.starts_at, row.ends_at = utcnow() - timedelta(days=9), utcnow() - timedelta(days=8)


class TestThePage:
    """What a builder sees."""

    def test_it_opens_with_what_is_ahead(self, app: Flask, browser: PageClient, book: Book) -> None:
        ahead, form = book(Status.CONFIRMED), book(Status.PENDING)
        over = book(Status.CONFIRMED)
        put_into_the_past(app, over)
        rows = browser.page("/dashboard/bookings").select("[data-booking-ref]")
        assert [row["data-booking-ref"] for row in rows] == [ahead.tracking_id]
        assert (rows[0]["data-booking-status"], rows[0]["data-payment-status"]) == ("confirmed", "none")
        past = browser.page("/dashboard/bookings?sort=past").select("[data-booking-ref]")
        assert [row["data-booking-ref"] for row in past] == [over.tracking_id]
        apart = browser.page("/dashboard/bookings?show=unfinished").select("[data-booking-ref]")
        assert [row["data-booking-ref"] for row in apart] == [form.tracking_id]

    def test_where_nothing_is_ahead_everything_is_shown(
        self, app: Flask, browser: PageClient, book: Book
    ) -> None:
        over = book(Status.CONFIRMED)
        put_into_the_past(app, over)
        page = browser.page("/dashboard/bookings")
        assert "Nothing is ahead." in page.words
        assert page.one("[data-booking-ref]")["data-booking-ref"] == over.tracking_id

    @pytest.mark.parametrize("what", ["name", "e-mail", "tracking", "event", "invitee", "link", "ref"])
    def test_search(self, browser: PageClient, book: Book, what: str) -> None:
        """By name, address and ids, and a client's reference, which no page shows."""
        found = book(Status.CONFIRMED, client_name="Zoë O'Hara", client_email="zoe@mail.test")
        book(Status.CONFIRMED)
        typed = {
            "name": "zoe",
            "e-mail": "ZOE@mail.t",
            "tracking": found.tracking_id,
            "event": str(found.event_uri).rpartition("/")[2],
            "invitee": str(found.invitee_uri).rpartition("/")[2],
            "link": str(found.event_uri),
            "ref": found.ref,
        }[what]
        answer = browser.get(f"/dashboard/bookings?{urlencode({'q': typed})}")
        if what == "ref":
            assert answer.status_code == 303
            assert found.ref not in answer.headers["Location"]
            answer = browser.get(answer.headers["Location"])
        assert found.ref not in answer.text
        page = browser.page(f"/dashboard/bookings?{urlencode({'q': typed})}") if what != "ref" else None
        assert answer.text.count("data-booking-ref=") == 1
        assert found.tracking_id in answer.text
        assert page is None or page.one("#list-q")["value"] == typed

    def test_filters_stand_in_the_address(self, browser: PageClient, book: Book) -> None:
        book(Status.CONFIRMED)
        book(Status.SCHEDULED)
        address = "/dashboard/bookings?status=confirmed&payment=none&type=PAID0&sort=name"
        types = browser.page("/dashboard/bookings").select("#list-type option")
        key = str(types[1]["value"])
        page = browser.page(address.replace("PAID0", key))
        chosen = {
            name: page.one(f"#list-{name} option[selected]")["value"]
            for name in ("status", "payment", "sort")
        }
        assert chosen == {"status": "confirmed", "payment": "none", "sort": "name"}
        assert len(page.select("[data-booking-ref]")) == 1

    @pytest.mark.parametrize(
        "query",
        [
            "status=nonsense",
            "sort=x",
            "after=x",
            "after=WzFd",
            "before=bnVsbA",
            "from=x&to=9999-12-31",
            "from=0001-01-01",
            "type=nothing",
            "q=%2F%2F",
            "q=%27%22%3B--",
            "after=WyIyMDI2LTExLTI0VDEwOjAwOjAwIiwgMV0",
        ],
    )
    def test_odd_addresses_are_no_errors(self, browser: PageClient, book: Book, query: str) -> None:
        book(Status.CONFIRMED)
        assert browser.get(f"/dashboard/bookings?{query}").status_code == 200

    def test_pages(self, browser: PageClient, book: Book) -> None:
        """Links lead forward and back, and the fragment has the address of its page."""
        for _ in range(27):
            book(Status.CONFIRMED)
        first = browser.page("/dashboard/bookings")
        second = browser.page(str(first.one("a[rel=next]")["href"]))
        refs = [
            row["data-booking-ref"] for page in (first, second) for row in page.select("[data-booking-ref]")
        ]
        assert (len(refs), len(set(refs))) == (27, 27)
        assert not second.select("a[rel=next]")
        again = browser.page(str(second.one("a[rel=prev]")["href"]))
        assert [one["data-booking-ref"] for one in again.select("[data-booking-ref]")] == refs[:25]
        fragment = browser.get("/dashboard/bookings?status=&q=", headers=HTMX)
        assert fragment.headers["HX-Push-Url"] == "/dashboard/bookings"
        assert "<html" not in fragment.text
        assert 'id="booking-list"' in fragment.text

    def test_what_needs_a_person(self, app: Flask, browser: PageClient, book: Book) -> None:
        found = book(Status.CONFIRMED)
        with app.app_context(), transaction(db.session()) as session:
            session.add(
                AttentionFlag(booking_id=found.id, code=FlagCode.OVERLAP, facts={}, raised_at=utcnow())
            )
        assert browser.page("/dashboard/bookings").one("[data-attention]")["data-attention"] == "overlap"

    @pytest.mark.any_database
    @pytest.mark.parametrize(
        "query", ["", "?status=confirmed&sort=name&q=grace", "?from=2026-01-01&sort=highest"]
    )
    def test_six_statements_at_most(
        self, app: Flask, browser: PageClient, book: Book, statements: list[str], query: str
    ) -> None:
        for _ in range(3):
            found = book(Status.CONFIRMED)
        with app.app_context(), transaction(db.session()) as session:
            session.add(
                AttentionFlag(booking_id=found.id, code=FlagCode.OVERLAP, facts={}, raised_at=utcnow())
            )
        statements.clear()
        assert browser.get(f"/dashboard/bookings{query}").status_code == 200
        assert len([one for one in statements if not one.startswith(("BEGIN", "PRAGMA"))]) <= 6
