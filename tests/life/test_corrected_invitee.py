"""What the invitee corrects on Calendly's page: pages, mails and files follow it, and the booking's key goes to no
address that may be a mistake.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from icalendar import Calendar

from tests.life.road import BUILDER, CLIENT, Road, Trip, name_of
from tests.live import HOUR
from tests.mailbox import text

OTHER = "grace.hall@example.net"


def confirmed(road: Road, **how: Any) -> Trip:
    """A paid booking whose invitee gave Calendly other details than our form."""
    return road.confirmed(name="Grace Brewster", email=OTHER, **how)


def key_in(trip: Trip, mail: Any) -> bool:
    """Whether a mail carries the booking's key, in whatever part."""
    parts = [part.get_payload(decode=True) for part in mail.walk() if not part.is_multipart()]
    return any(trip.ref.encode() in part for part in parts)


def resolve(trip: Trip, address: str) -> None:
    """Choose one of both addresses on the booking's page."""
    answer = trip.browser.submit(f"/bookings/{trip.ref}/address", {"address": address})
    assert answer.status_code == 303
    trip.road.live.work()


def my_bookings(road: Road, email: str) -> list[Any]:
    """The mails that a question for one's bookings brings."""
    browser = road.live.browser()
    assert browser.submit("/my-bookings", {"email": email}).status_code == 303
    road.live.work()
    return [mail for mail in road.mails.to(email) if str(mail["Subject"]).startswith("Your link")]


def test_name_zone_and_length_follow_calendly(road: Road) -> None:
    """On the client's page, in mails and on the dashboard."""
    road.live.hands.control(f"calendly/event-types/{HOUR}", duration=30)
    trip = road.confirmed(name="Grace Brewster", timezone="America/New_York")
    ticket = trip.page.one(".ticket").text
    assert "Grace Brewster" in ticket
    assert "New York time" in ticket
    assert "30 minutes" in ticket
    mail = text(road.mails.one(CLIENT, "You are booked"))
    assert "Hello Grace Brewster" in mail
    assert "New York time" in mail
    assert "30 minutes" in mail
    shown = road.live.browser("ada").page(f"/dashboard/bookings/{trip.row.tracking_id}").words
    assert "Grace Brewster" in shown
    assert "30 minutes" in shown


def test_what_is_no_name_or_zone_is_not_taken_over(road: Road) -> None:
    """A mail with our sender carries no address of a visitor's choice."""
    trip = road.confirmed(name="Win at https://evil.example now", timezone="Mars/Olympus")
    assert "evil.example" not in trip.page.words
    assert (trip.row.client_name, trip.row.client_timezone) == ("Grace Hall", "UTC")


def test_a_name_with_joined_letters(road: Road) -> None:
    """As Calendly has it."""
    name = "علی\N{ZERO WIDTH NON-JOINER}رضا"
    assert road.confirmed(name=name).row.client_name == name


def test_both_addresses_are_told_and_neither_gets_the_key(road: Road) -> None:
    """One of them may be a stranger's, and nobody knows which."""
    trip = confirmed(road)
    for address in (CLIENT, OTHER):
        mail = road.mails.one(address, "You are booked")
        assert not key_in(trip, mail)
        assert "choose your address there" in text(mail)
    for address in (CLIENT, OTHER):
        assert not my_bookings(road, address)


def test_builder_and_evidence_have_both(road: Road) -> None:
    """In the mail, on the dashboard, and in what the bank gets."""
    trip = confirmed(road)
    browser = road.live.browser("ada")
    path = f"/dashboard/bookings/{trip.row.tracking_id}"
    evidence = browser.get(f"{path}/evidence").data
    packed = zipfile.ZipFile(io.BytesIO(evidence)).read("evidence.txt").decode()
    for words in (text(road.mails.one(BUILDER, "New booking")), browser.page(path).words, packed):
        assert CLIENT in words
        assert OTHER in words
        assert "Grace Brewster" in words


@pytest.mark.parametrize(
    ("address", "chosen", "dropped"), [("calendly", OTHER, CLIENT), ("ours", CLIENT, OTHER)]
)
def test_the_client_chooses(road: Road, address: str, chosen: str, dropped: str) -> None:
    """Who has the page open reads both addresses: the chosen one gets the key, the other no more mail."""
    trip = confirmed(road)
    assert {CLIENT, OTHER} <= set(trip.page.one("form[action$='/address']").text.split())
    resolve(trip, address)
    assert not trip.page.select("form[action$='/address']")
    with_key = [mail for mail in road.mails.to(chosen) if key_in(trip, mail)]
    assert len(with_key) == 1
    assert not any(key_in(trip, mail) for mail in road.mails.to(dropped))
    before = len(road.mails.to(dropped))
    trip.move()
    assert len(road.mails.to(dropped)) == before
    assert key_in(trip, road.mails.one(chosen, "New time"))
    assert my_bookings(road, chosen)
    assert not my_bookings(road, dropped)


def test_a_choice_before_the_payment(road: Road) -> None:
    """Then the first confirmation has the key already, and is the only one."""
    trip = road.scheduled(email=OTHER)
    resolve(trip, "calendly")
    trip.pay()
    assert key_in(trip, road.mails.one(OTHER, "You are booked"))
    assert not road.mails.to(CLIENT)


def test_only_a_real_choice_is_accepted(road: Road) -> None:
    """Nothing but the two addresses, and nothing where there are not two."""
    trip = confirmed(road)
    assert trip.browser.submit(f"/bookings/{trip.ref}/address", {"address": "x@y.example"}).status_code == 422
    same = road.confirmed()
    resolve(same, "ours")
    assert road.subjects(same.row.client_email) == ["You are booked"]


def test_an_address_in_other_letters_is_the_same(road: Road) -> None:
    """Capital letters are no correction."""
    trip = road.confirmed(email="Grace@Example.org")
    assert key_in(trip, road.mails.one(CLIENT, "You are booked"))


def test_the_calendar_file_of_a_mail_without_key(road: Road) -> None:
    """It has the time and no link to the booking's page."""
    trip = confirmed(road)
    (part,) = road.mails.one(OTHER, "You are booked").iter_attachments()
    (event,) = Calendar.from_ical(part.get_content()).walk("VEVENT")
    assert event.decoded("dtstart") == trip.row.starts_at
    assert trip.ref not in str(event["description"]) + str(event["url"])


def test_the_new_invitee_of_a_reschedule_is_followed(road: Road) -> None:
    """They may be corrected then, too."""
    trip = road.confirmed()
    store = road.live.hands.server.sandbox.store
    old = store.get("invitee", name_of(trip.invitee["uri"]))
    assert old is not None
    store.put("invitee", old["id"], {**old, "name": "G. Hall", "email": OTHER})
    trip.move()
    assert trip.row.client_name == "G. Hall"
    assert not key_in(trip, road.mails.one(OTHER, "New time"))
    assert not key_in(trip, road.mails.one(CLIENT, "New time"))
