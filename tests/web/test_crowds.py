"""Many visitors behind one address: each has their own share of requests for their own booking."""

from __future__ import annotations

from collections.abc import Callable

from bookingapp.bookings.models import Booking
from bookingapp.bookings.states import Status
from tests.pages import HTMX, PageClient
from tests.web.conftest import Offer

Book = Callable[..., Booking]


def test_people_behind_one_address_do_not_stop_each_other(client: PageClient, ada: Offer, book: Book) -> None:
    """24 open pages look again eight times; the one that asks too often is refused alone."""
    refs = [book().ref for _ in range(24)]
    statuses = {client.get(f"/bookings/{ref}/status", headers=HTMX).status_code for ref in refs * 8}
    assert statuses == {200}
    greedy = [client.get(f"/bookings/{refs[0]}/status", headers=HTMX).status_code for _ in range(120)]
    assert greedy[-1] == 429
    assert client.get(f"/bookings/{refs[1]}/status", headers=HTMX).status_code == 200


def test_paying_and_canceling_are_counted_for_each_booking(
    client: PageClient, ada: Offer, book: Book
) -> None:
    """One visitor's tries use up nothing of another's."""
    first, second = book(Status.CANCELED), book(Status.CANCELED)
    data = {"csrf_token": client.token()}
    for what in ("pay", "cancel"):
        tries = [client.post(f"/bookings/{first.ref}/{what}", data=data).status_code for _ in range(31)]
        assert tries[-1] == 429
        assert client.post(f"/bookings/{second.ref}/{what}", data=data).status_code != 429


def test_guesses_at_references_are_counted_by_address(client: PageClient) -> None:
    """Each guess is another text, and all of them are one visitor's."""
    guesses = [client.get(f"/bookings/guess-{number}/status").status_code for number in range(121)]
    assert guesses == [404] * 120 + [429]


def test_the_schedule_page_learns_that_it_is_not_needed_any_more(
    client: PageClient, ada: Offer, book: Book
) -> None:
    """Nothing while there is no time, then the way on."""
    waiting, done = book(), book(Status.SCHEDULED)
    answer = client.get(f"/bookings/{waiting.ref}/status?on=schedule", headers=HTMX)
    assert (answer.status_code, answer.data, answer.headers.get("HX-Redirect")) == (204, b"", None)
    answer = client.get(f"/bookings/{done.ref}/status?on=schedule", headers=HTMX)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, f"/bookings/{done.ref}")


def test_every_answer_says_that_it_is_ours(client: PageClient, ada: Offer) -> None:
    """Pages use only answers with this header."""
    for path in ("/", "/nothing-here", f"{ada.path}/session-types", "/healthz"):
        assert client.get(path).headers["X-Answered-By"] == "bookingapp", path
