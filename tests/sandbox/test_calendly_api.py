"""Calendly's API v2 as its reference describes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from .support import ADA, KENJI, Hands

GROUP = "ETMAYAGRPHALF240"


def test_users_me_is_the_platform_in_full_uris(hands: Hands) -> None:
    user = hands.resource("/users/me")
    assert user["uri"] == hands.user("SBXPLATFORM00001")
    assert user["current_organization"] == hands.organization
    assert user["scheduling_url"] == f"{hands.base}/booking-platform"
    assert datetime.fromisoformat(user["created_at"]).tzinfo is not None


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic c2FuZGJveA==", "Bearer "])
def test_a_missing_token_and_a_wrong_one_are_answered_alike(hands: Hands, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = hands.http.get(f"{hands.api}/users/me", headers=headers, timeout=5)
    assert response.status_code == 401
    assert response.json() == {"title": "Unauthenticated", "message": "The access token is invalid"}


def test_every_answer_has_the_rate_limit(hands: Hands) -> None:
    first, second = hands.get("/users/me"), hands.get("/event_types/NOSUCHTYPE")
    assert second.status_code == 404
    assert second.json()["title"] == "Resource Not Found"
    remaining = [int(response.headers["X-RateLimit-Remaining"]) for response in (first, second)]
    assert remaining[1] == remaining[0] - 1
    assert 0 < int(second.headers["X-RateLimit-Reset"]) <= 60


def test_event_types_are_filtered_sorted_and_paged(hands: Hands) -> None:
    names, page = [], hands.get("/event_types", user=hands.user(), count=2).json()
    while True:
        names += [each["name"] for each in page["collection"]]
        assert page["pagination"]["count"] == len(page["collection"])
        if page["pagination"]["next_page"] is None:
            break
        page = hands.get(page["pagination"]["next_page"]).json()
    assert names == sorted(names, key=str.casefold)
    assert len(names) == 5
    kenji = hands.rows("/event_types", user=hands.user(KENJI), active="false")
    assert [each["uri"] for each in kenji] == [hands.event_type("ETKENJIOLDWS0120")]
    by_position = hands.rows("/event_types", organization=hands.organization, sort="position:desc")
    positions = [each["position"] for each in by_position]
    assert positions == sorted(positions, reverse=True)


@pytest.mark.parametrize(
    ("parameter", "value"), [("user", None), ("user", "https://elsewhere.example/users/x"), ("count", "0")]
)
def test_bad_parameters_are_named(hands: Hands, parameter: str, value: str | None) -> None:
    query: dict[str, Any] = {"user": hands.user(), parameter: value}
    response = hands.get("/event_types", **query)
    assert (response.status_code, response.json()["title"]) == (400, "Invalid Argument")
    assert response.json()["details"][0]["parameter"] == parameter


def test_a_host_s_html_is_passed_on_as_it_was_written(hands: Hands) -> None:
    dive = hands.resource("/event_types/ETADADEEPDIVE090")
    assert "<script>" in dive["description_html"]
    assert dive["duration"] == 90
    assert dive["scheduling_url"] == f"{hands.base}/ada-okonkwo/90-minute-deep-dive"
    assert dive["custom_questions"][0]["position"] == 0


def test_free_times_lie_in_the_host_s_working_hours_and_lead_to_their_page(hands: Hands) -> None:
    slots = hands.slots("ETKENJICONSUL060")
    assert slots
    for slot in slots:
        # Nine to five in Tokyo, nine hours ahead of UTC all year.
        local = datetime.fromisoformat(slot["start_time"]) + timedelta(hours=9)
        assert local.weekday() < 5
        assert 9 <= local.hour <= 16
    link = urlsplit(slots[0]["scheduling_url"])
    assert link.path.startswith("/kenji-mori/60-minute-consultation/")
    assert parse_qs(link.query)["date"] == [slots[0]["start_time"][:10]]


def test_the_window_of_free_times_is_bounded(hands: Hands) -> None:
    now = datetime.now(UTC)

    def message(start: timedelta, end: timedelta) -> str:
        response = hands.get(
            "/event_type_available_times",
            event_type=hands.event_type(),
            start_time=(now + start).isoformat(),
            end_time=(now + end).isoformat(),
        )
        assert response.status_code == 400
        return str(response.json()["details"][0]["message"])

    assert message(timedelta(seconds=-1), timedelta(days=1)) == "start_time must be in the future"
    assert "31 days" in message(timedelta(hours=1), timedelta(days=31, hours=2))
    assert "after" in message(timedelta(hours=2), timedelta(hours=1))


def test_a_booking_through_the_api_occupies_the_time(hands: Hands) -> None:
    start = hands.slots()[0]["start_time"]
    body = {
        "event_type": hands.event_type(),
        "start_time": start,
        "invitee": {"name": "Jo Bloggs", "email": "jo@example.com", "timezone": "Europe/London"},
        "tracking": {"utm_content": "ref-1"},
        "location": {"kind": "google_conference"},
    }
    invitee = hands.create("/invitees", **body)
    assert invitee["tracking"]["utm_content"] == "ref-1"
    assert invitee["tracking"]["utm_term"] is None
    assert invitee["uri"].startswith(f"{invitee['event']}/invitees/")
    assert hands.resource(invitee["uri"]) == invitee
    assert start not in [slot["start_time"] for slot in hands.slots()]
    again = hands.post("/invitees", body)
    assert (again.status_code, again.json()["details"][0]["parameter"]) == (400, "start_time")
    event = hands.resource(invitee["event"])
    assert event["location"]["type"] == "google_conference"
    assert event["location"]["join_url"].startswith(hands.base)
    assert event["invitees_counter"] == {"total": 1, "active": 1, "limit": 1}
    assert event["event_memberships"][0]["user"] == hands.user()


def test_a_group_has_seats(hands: Hands) -> None:
    first = hands.slots(GROUP)[0]
    assert first["invitees_remaining"] == 8
    for number in range(8):
        hands.book(GROUP, start_time=first["start_time"], email=f"p{number}@example.com")
        left = {slot["start_time"]: slot["invitees_remaining"] for slot in hands.slots(GROUP)}
        assert left.get(first["start_time"], 0) == 7 - number
    events = hands.rows("/scheduled_events", organization=hands.organization)
    assert [event["invitees_counter"]["active"] for event in events] == [8]
    people = hands.rows(f"{events[0]['uri']}/invitees", count=100)
    assert len({person["email"] for person in people}) == 8


def test_cancellation_by_the_host_happens_once(hands: Hands) -> None:
    invitee = hands.book()
    event = invitee["event"]
    assert hands.create(f"{event}/cancellation", reason="Ill")["canceler_type"] == "host"
    assert hands.resource(invitee["uri"])["status"] == "canceled"
    again = hands.post(f"{event}/cancellation", {})
    assert (again.status_code, again.json()["message"]) == (403, "Event is already canceled")
    past = hands.book(start_time="2026-01-05T10:00:00Z")
    refused = hands.post(f"{past['event']}/cancellation")
    assert (refused.status_code, refused.json()["message"]) == (403, "Event in the past")


def test_scheduled_events_need_an_owner_and_can_be_narrowed(hands: Hands) -> None:
    hands.book(email="one@example.com")
    other = hands.book(email="two@example.com")
    assert hands.get("/scheduled_events").status_code == 400
    assert "specify organization" in hands.get("/scheduled_events", user=hands.user()).json()["message"]
    everywhere = {"organization": hands.organization}
    ada = {"user": hands.user(ADA), "invitee_email": "two@example.com"}
    assert [row["uri"] for row in hands.rows("/scheduled_events", **ada, **everywhere)] == [other["event"]]
    assert hands.rows("/scheduled_events", min_start_time="2099-01-01T00:00:00Z", **everywhere) == []


def test_subscriptions_are_made_listed_and_deleted(hands: Hands) -> None:
    body = {
        "url": "http://127.0.0.1:9/hooks",
        "events": ["invitee.created", "invitee.canceled"],
        "organization": hands.organization,
        "scope": "organization",
        "signing_key": "key-of-mine",
    }
    made = hands.post("/webhook_subscriptions", body)
    assert made.status_code == 201
    resource = made.json()["resource"]
    assert made.headers["Location"] == resource["uri"]
    assert (resource["callback_url"], resource["state"]) == (body["url"], "active")
    assert "key-of-mine" not in made.text
    conflict = hands.post("/webhook_subscriptions", body)
    assert (conflict.status_code, conflict.json()["message"]) == (409, "Hook with this url already exists")
    assert resource["uri"] in [each["uri"] for each in hands.subscriptions()]
    assert hands.get("/webhook_subscriptions", organization=hands.organization).status_code == 400
    unknown = {**body, "url": "http://x.example", "events": ["invitee.rescheduled"]}
    assert hands.post("/webhook_subscriptions", unknown).status_code == 400
    assert hands.delete(resource["uri"]) == 204
    assert hands.get(resource["uri"]).status_code == 404


def test_a_single_use_link_works_for_one_booking(hands: Hands) -> None:
    owner = {"owner": hands.event_type(), "owner_type": "EventType"}
    url = hands.create("/scheduling_links", max_event_count=1, **owner)["booking_url"]
    assert urlsplit(url).path.startswith("/d/")
    details_url = hands.first_time(url)
    assert hands.fill_in(details_url, name="Jo", email="jo@example.com").status_code == 303
    assert (hands.status(url), hands.status(details_url)) == (410, 410)


def test_the_members_of_the_organization(hands: Hands) -> None:
    """As the reference lists them: the user inside of the membership, without an organization."""
    rows = hands.rows("/organization_memberships", organization=hands.organization)
    assert {row["user"]["uri"] for row in rows} >= {hands.user(ADA), hands.user(KENJI)}
    assert all("current_organization" not in row["user"] for row in rows)
    assert [row["role"] for row in rows].count("owner") == 1
    elsewhere = hands.get("/organization_memberships", organization=f"{hands.organization}X")
    assert elsewhere.status_code == 400


def test_erasing_an_invitee_needs_the_plan(hands: Hands) -> None:
    """Calendly API reference, Delete Invitee Data: 202 and an empty object; 403 on a smaller plan, 400 without any."""
    path, made = "/data_compliance/deletion/invitees", hands.control("calendly/book", event_type=GROUP)
    body = {"emails": [made["email"].upper()]}
    assert hands.post(path, {"emails": "all"}).status_code == 400
    hands.control("settings", enterprise=False)
    refused = hands.post(path, body)
    assert refused.status_code == 403
    assert refused.json()["message"] == "Please upgrade your Calendly account to Enterprise."
    hands.control("settings", enterprise=True)
    accepted = hands.post(path, body)
    assert (accepted.status_code, accepted.json()) == (202, {})
    assert hands.resource(made["uri"].removeprefix(hands.api))["email"] == ""
