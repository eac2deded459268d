"""The public booking pages, as a visitor without JavaScript walks through them."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from bs4 import BeautifulSoup

from .support import HOUR, Hands, Receiver

TYPE = "/ada-okonkwo/60-minute-consultation"
CARRIED = "name=Jo+Bloggs&email=jo%40example.com&utm_content=ref-9&utm_source=bookingapp&timezone=Asia/Tokyo"


def first_time(hands: Hands, url: str) -> str:
    link = hands.page(url).select_one("a.time")
    assert link is not None
    return f"{hands.base}{link['href']}"


def test_prefill_tracking_and_zone_survive_to_the_booking(hands: Hands, receiver: Receiver) -> None:
    details_url = first_time(hands, f"{TYPE}?{CARRIED}")
    page = hands.page(details_url)
    assert page.select_one("#name") is not None
    assert page.select_one("#email[value='jo@example.com']") is not None
    assert "Tokyo time (UTC+9)" in page.get_text()
    sent = hands.submit(page, details_url, answer="About tests")
    assert sent.status_code == 303
    done = hands.page(f"{hands.base}{sent.headers['Location']}")
    assert "You are scheduled" in done.get_text()
    assert "embedded" not in (done.body["class"] if done.body else [])
    payload = receiver.wait_for("invitee.created")[0].json["payload"]
    assert payload["tracking"]["utm_content"] == "ref-9"
    assert payload["tracking"]["utm_source"] == "bookingapp"
    assert payload["timezone"] == "Asia/Tokyo"
    assert [answer["answer"] for answer in payload["questions_and_answers"]] == ["About tests"]
    assert payload["cancel_url"] in {link["href"] for link in done.select("a[href]")}
    assert payload["scheduled_event"]["event_type"] == hands.event_type()


def test_the_month_offers_days_and_the_next_month(hands: Hands) -> None:
    page = hands.page(f"{TYPE}?utm_content=ref-9")
    days = page.select("a.day")
    assert days
    chosen = hands.page(str(days[-1]["href"]))
    current = chosen.select_one("a.day[aria-current]")
    assert current is not None
    assert current.get_text() == days[-1].get_text()
    following = page.select_one("a[aria-label='Next month']")
    assert following is not None
    later = hands.page(str(following["href"]))
    assert later.select_one("#month") != page.select_one("#month")
    assert all("utm_content=ref-9" in str(link["href"]) for link in later.select("a.time"))


def test_what_is_missing_is_said_at_the_field(hands: Hands, receiver: Receiver) -> None:
    details_url = first_time(hands, TYPE)
    refused = hands.submit(hands.page(details_url), details_url, name="", email="nonsense")
    assert refused.status_code == 422
    page = BeautifulSoup(refused.text, "html.parser")
    for name in ("name", "email"):
        field = page.select_one(f"#{name}[aria-invalid=true]")
        assert field is not None
        assert page.select_one(f"#{field['aria-describedby']}") is not None
    assert receiver.received == []


def test_the_second_of_two_visitors_chooses_again(hands: Hands) -> None:
    details_url = first_time(hands, f"{TYPE}?utm_content=second")
    page = hands.page(details_url)
    start = urlsplit(details_url).path.rpartition("/")[2]
    hands.control("calendly/book", event_type=HOUR, start_time=start)
    late = hands.submit(page, details_url, name="Late", email="late@example.com")
    assert late.status_code == 303
    again = hands.page(f"{hands.base}{late.headers['Location']}")
    alert = again.select_one("[role=alert]")
    assert alert is not None
    assert "no longer available" in alert.get_text()
    assert all(start not in str(link["href"]) for link in again.select("a.time"))
    assert all("utm_content=second" in str(link["href"]) for link in again.select("a.time"))


def test_an_embedded_page_says_what_to_tell_its_parent(hands: Hands) -> None:
    query = "embed_domain=app.example&embed_type=Inline&utm_content=ref-9"
    assert hands.page(f"{TYPE}?{query}").select_one("body[data-message='calendly.event_type_viewed']")
    details_url = first_time(hands, f"{TYPE}?{query}")
    page = hands.page(details_url)
    assert page.select_one("body[data-message='calendly.date_and_time_selected']")
    sent = hands.submit(page, details_url, name="Jo", email="jo@example.com")
    body = hands.page(f"{hands.base}{sent.headers['Location']}").body
    assert body is not None
    assert body["data-message"] == "calendly.event_scheduled"
    invitee = hands.get(str(body["data-invitee-uri"])).json()["resource"]
    assert invitee["event"] == body["data-event-uri"]
    assert hands.page(TYPE).select_one("body[data-embedded]") is None


def test_a_type_with_a_redirect_sends_the_visitor_on_with_details(hands: Hands, receiver: Receiver) -> None:
    url = "/maya-lindqvist/60-minute-consultation"
    details_url = first_time(hands, f"{url}?utm_content=ref-9&timezone=Europe/Stockholm")
    sent = hands.submit(hands.page(details_url), details_url, name="Jo van Bloggs", email="jo@example.com")
    target = urlsplit(sent.headers["Location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == f"{receiver.url}/bookings/scheduled"
    passed = {key: values[0] for key, values in parse_qs(target.query).items()}
    assert passed["invitee_first_name"] == "Jo van"
    assert passed["invitee_last_name"] == "Bloggs"
    assert passed["utm_content"] == "ref-9"
    assert passed["event_type_uuid"] == "ETMAYACONSULT060"
    # In the visitor's own zone, with its offset.
    assert passed["event_start_time"][-6:] in {"+01:00", "+02:00"}
    payload = receiver.wait_for("invitee.created")[0].json["payload"]
    assert payload["uri"].endswith(passed["invitee_uuid"])
    embedded_url = first_time(hands, f"{url}?embed_domain=app.example")
    kept = hands.submit(hands.page(embedded_url), embedded_url, name="Jo", email="jo@example.com")
    page = hands.page(f"{hands.base}{kept.headers['Location']}")
    onward = page.select_one("a[target=_top]")
    assert onward is not None
    assert str(onward["href"]).startswith(f"{receiver.url}/bookings/scheduled?")


def test_the_invitee_s_own_links_cancel_and_move(hands: Hands, receiver: Receiver) -> None:
    invitee = hands.control("calendly/book", event_type=HOUR, utm_content="ref-9")
    move_url = first_time(hands, invitee["reschedule_url"])
    moved = hands.submit(hands.page(move_url), move_url, reason="A train")
    assert moved.status_code == 303
    done = hands.page(f"{hands.base}{moved.headers['Location']}")
    assert "Your new time is set" in done.get_text()
    old, new = (
        each.json["payload"] for each in receiver.wait_for("invitee.canceled", "invitee.created")[-2:]
    )
    assert old["cancellation"] == {**old["cancellation"], "reason": "A train", "canceler_type": "invitee"}
    canceled = hands.submit(hands.page(new["cancel_url"]), new["cancel_url"], reason="")
    assert canceled.status_code == 200
    assert "This booking is canceled" in canceled.text
    assert "<form" not in hands.http.get(new["cancel_url"], timeout=5).text
    last = receiver.wait_for("invitee.created", "invitee.canceled", "invitee.created", "invitee.canceled")[-1]
    assert (last.event, last.json["payload"]["uri"]) == ("invitee.canceled", new["uri"])
    assert last.json["payload"]["rescheduled"] is False


def test_what_is_not_offered_has_no_page(hands: Hands) -> None:
    for path in (
        "/kenji-mori/prompting-workshop-2025",
        "/nobody",
        "/ada-okonkwo/nothing",
        f"{TYPE}/not-a-time",
    ):
        assert hands.http.get(f"{hands.base}{path}", timeout=5).status_code == 404
    offered = hands.page("/kenji-mori").get_text()
    assert "Code Review of Your App" in offered
    assert "Prompting Workshop" not in offered
