"""The schedule page: two ways to choose a time, and nothing of Calendly's before the visitor has agreed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.builders.models import Builder, Way
from bookingapp.core import security
from bookingapp.core.db import db, transaction
from bookingapp.session_types.models import SessionType, Ways
from tests.factories import list_bookings
from tests.pages import Page, PageClient, new_client
from tests.web.conftest import Offer
from tests.web.test_security import policy

TIME = "2026-12-24T14:00:00Z"
CLIENT = {"name": "Grace Hall", "email": "grace@example.org"}


def begin(app: Flask, client: PageClient, ada: Offer) -> str:
    """A pending booking of a session type that our list can book: the address of its page."""
    assert client.submit(f"{ada.detail('PAID')}/book", CLIENT).status_code == 303
    return f"/bookings/{list_bookings(app)[-1].ref}"


def change(app: Flask, model: type[Builder | SessionType], **values: Any) -> None:
    """Change every builder or every session type."""
    with app.app_context(), transaction(db.session()) as session:
        session.execute(sa.update(model).values(**values))


def links(page: Page) -> dict[str, tuple[str, bool]]:
    """The two ways: address by words, and whether it is the present page."""
    return {
        a.text.strip(): (unquote(str(a["href"])), "aria-current" in a.attrs)
        for a in page.select("nav.ways a")
    }


def test_two_links_of_one_page(app: Flask, client: PageClient, ada: Offer) -> None:
    """The calendar is open; the list is one link away, with the time that was picked on the card."""
    path = begin(app, client, ada)
    assert links(client.page(f"{path}/schedule?time={TIME}")) == {
        "Calendar": (f"{path}/schedule?by=widget&time={TIME}", True),
        "List of times": (f"{path}/times?time={TIME}", False),
    }


@pytest.mark.parametrize(
    ("site", "builder", "query", "leads_to"),
    [
        ("widget", None, "", None),
        ("times", None, "", "/times"),
        ("times", Way.WIDGET, "", None),
        ("widget", Way.TIMES, "", "/times"),
        ("times", None, "?by=widget", None),
        ("widget", None, "?by=times", "/times"),
        ("times", None, "?by=nonsense", "/times"),
        ("times", None, f"?time={TIME}", f"/times?time={TIME}"),
    ],
)
def test_which_way_comes_first(
    app_with: Callable[..., Flask],
    ada: Offer,
    site: str,
    builder: Way | None,
    query: str,
    leads_to: str | None,
) -> None:
    """The installation's, unless the builder has chosen; the client's own choice wins."""
    app = app_with(scheduling_first=site)
    client = new_client(app)
    change(app, Builder, scheduling_first=builder)
    path = begin(app, client, ada)
    answer = client.get(f"{path}/schedule{query}")
    expected = (303, f"{path}{leads_to}") if leads_to else (200, None)
    found = unquote(answer.location or "")
    assert (answer.status_code, f"{path}{found.partition(path)[2]}" if found else None) == expected


@pytest.mark.parametrize(
    "values", [{"ways": Ways.WIDGET}, {"list_refusal": "forbidden"}], ids=["calendar only", "refused"]
)
@pytest.mark.parametrize("query", ["", "?by=times"])
def test_without_the_list_there_is_no_link_to_it(
    app: Flask, client: PageClient, ada: Offer, values: dict[str, Any], query: str
) -> None:
    change(app, Builder, scheduling_first=Way.TIMES)
    change(app, SessionType, **values)
    path = begin(app, client, ada)
    page = client.page(f"{path}/schedule{query}")
    assert page.select("nav.ways") == []
    assert "/times" not in str(page)
    assert "data-moves-on" not in page.one("#scheduling-widget").attrs


def test_the_list_alone(app: Flask, client: PageClient, ada: Offer) -> None:
    """The calendar cannot be had, whatever the address says; where the list cannot be had, it is there again."""
    change(app, SessionType, ways=Ways.TIMES)
    path = begin(app, client, ada)
    assert client.get(f"{path}/schedule?by=widget").location.endswith("/times")
    change(app, SessionType, list_refusal="forbidden")
    assert client.page(f"{path}/schedule").one("[data-scheduling-url]")


@pytest.mark.parametrize(("query", "moves"), [("", True), ("?by=widget", False)])
def test_only_who_has_not_chosen_is_moved_on(
    app: Flask, client: PageClient, ada: Offer, query: str, moves: bool
) -> None:
    path = begin(app, client, ada)
    widget = client.page(f"{path}/schedule{query}").one("#scheduling-widget")
    assert ("data-moves-on" in widget.attrs) is moves
    if moves:
        assert client.get(str(widget["data-moves-on"])).location.endswith(f"{path}/times")


def test_the_page_itself_loads_nothing_of_calendlys(app: Flask, client: PageClient, ada: Offer) -> None:
    """The script asks for it when it is near the view."""
    page = client.page(f"{begin(app, client, ada)}/schedule")
    assert [tag for tag in page.select("script, link, img, iframe") if "calendly" in str(tag)] == []
    assert page.one("#scheduling-widget")["data-widget-js"] == (
        "https://assets.calendly.com/assets/external/widget.js"
    )


class TestConsent:
    @pytest.fixture
    def client(self, app_with: Callable[..., Flask]) -> PageClient:
        return new_client(app_with(embed_consent="ask"))

    def policy(self, client: PageClient, path: str) -> str:
        return str(client.get(path).headers["Content-Security-Policy"])

    def test_it_is_asked_once_and_taken_back(self, client: PageClient, ada: Offer) -> None:
        """By forms, so without JavaScript too; the picked time stays."""
        path = begin(client.application, client, ada)
        address = f"{path}/schedule?by=widget&time={TIME}"
        page = client.page(address)
        assert page.one("#scheduler")["data-state"] == "asking"
        assert "Show Calendly's calendar here?" in page.words
        assert (
            page.one("#scheduling-link")["href"] == page.one("[data-scheduling-url]")["data-scheduling-url"]
        )
        assert "calendly.com" not in self.policy(client, address)

        agreed = client.submit(f"{path}/schedule/consent", {"answer": "yes", "time": TIME})
        assert agreed.status_code == 303
        assert unquote(agreed.location).endswith(address)
        (cookie,) = [one for one in agreed.headers.getlist("Set-Cookie") if one.startswith("calendly_embed=")]
        assert "Max-Age=31536000" in cookie
        assert "SameSite=Lax" in cookie
        assert "HttpOnly" in cookie
        page = client.page(address)
        assert page.one("#scheduling-widget")["data-consent"] == "given"
        assert page.select("#consent-button") == []
        found = policy(self.policy(client, address))
        assert found["frame-src"] == {"https://calendly.com"}
        assert found["script-src"] == {"'self'", security.HTMX_URL, "https://assets.calendly.com"}

        assert page.one("#consent-undo")["value"] == "no"
        client.submit(f"{path}/schedule/consent", {"answer": "no"})
        assert client.page(address).one("#consent-button")
        assert "calendly.com" not in self.policy(client, address)

    def test_no_answer_is_no_consent(self, client: PageClient, ada: Offer) -> None:
        path = begin(client.application, client, ada)
        assert client.submit(f"{path}/schedule/consent", {"answer": "perhaps"}).status_code == 422
        assert client.submit("/bookings/unknown/schedule/consent", {"answer": "yes"}).status_code == 404
        client.set_cookie("calendly_embed", "forged")
        assert client.page(f"{path}/schedule").one("#consent-button")
