"""The public booking pages, as a visitor without JavaScript walks through them."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

from bs4 import BeautifulSoup

from .support import Hands, Receiver, one

TYPE = "/ada-okonkwo/60-minute-consultation"
CARRIED = "name=Jo+Bloggs&email=jo%40example.com&utm_content=ref-9&utm_source=bookingapp&timezone=Asia/Tokyo"


def test_prefill_tracking_and_zone_survive_to_the_booking(hands: Hands, receiver: Receiver) -> None:
    details_url = hands.first_time(f"{TYPE}?{CARRIED}")
    page = hands.page(details_url)
    one(page, "#name[value='Jo Bloggs']")
    one(page, "#email[value='jo@example.com']")
    assert "Tokyo time (UTC+9)" in page.get_text()
    sent = hands.submit(page, details_url, answer="About tests")
    assert sent.status_code == 303
    done = hands.page(sent.headers["Location"])
    assert "You are scheduled" in done.get_text()
    assert done.select_one("body.embedded, body[data-embedded]") is None
    payload = receiver.payload("invitee.created")
    assert payload["tracking"]["utm_content"] == "ref-9"
    assert payload["tracking"]["utm_source"] == "bookingapp"
    assert payload["timezone"] == "Asia/Tokyo"
    assert [answer["answer"] for answer in payload["questions_and_answers"]] == ["About tests"]
    assert payload["cancel_url"] in {link["href"] for link in done.select("a[href]")}
    assert payload["scheduled_event"]["event_type"] == hands.event_type()


def test_the_month_offers_days_the_next_month_and_another_zone(hands: Hands) -> None:
    page = hands.page(f"{TYPE}?utm_content=ref-9")
    days = page.select("a.day")
    assert days
    chosen = hands.page(str(days[-1]["href"]))
    assert one(chosen, "a.day[aria-current]").get_text() == days[-1].get_text()
    later = hands.page(str(one(page, "a[aria-label='Next month']")["href"]))
    assert one(later, "#month") != one(page, "#month")
    assert all("utm_content=ref-9" in str(link["href"]) for link in later.select("a.time"))
    form = one(page, "form.zone")
    one(form, "select[name=timezone] option[value='Asia/Tokyo']")
    kept = {str(field["name"]): str(field["value"]) for field in form.select("input")}
    tokyo = hands.page(f"{form['action']}?{urlencode({**kept, 'timezone': 'Asia/Tokyo'})}")
    assert "Times are shown in Tokyo time (UTC+9)." in tokyo.get_text()
    carried = "utm_content=ref-9&timezone=Asia%2FTokyo"
    assert all(carried in str(link["href"]) for link in tokyo.select("a.time"))


def test_an_error_is_shown_at_its_field(hands: Hands, receiver: Receiver) -> None:
    details_url = hands.first_time(TYPE)
    refused = hands.fill_in(details_url, name="", email="nonsense")
    assert refused.status_code == 422
    page = BeautifulSoup(refused.text, "html.parser")
    for name in ("name", "email"):
        one(page, f"#{one(page, f'#{name}[aria-invalid=true]')['aria-describedby']}")
    assert receiver.received == []


def test_the_second_of_two_visitors_chooses_again(hands: Hands) -> None:
    details_url = hands.first_time(f"{TYPE}?utm_content=second")
    page = hands.page(details_url)
    start = urlsplit(details_url).path.rpartition("/")[2]
    hands.book(start_time=start)
    late = hands.submit(page, details_url, name="Late", email="late@example.com")
    assert late.status_code == 303
    again = hands.page(late.headers["Location"])
    assert "no longer available" in one(again, "[role=alert]").get_text()
    links = [str(link["href"]) for link in again.select("a.time")]
    assert all(start not in link and "utm_content=second" in link for link in links)


def test_a_type_with_a_redirect_sends_the_visitor_on_with_details(hands: Hands, receiver: Receiver) -> None:
    url = "/maya-lindqvist/60-minute-consultation"
    details_url = hands.first_time(f"{url}?utm_content=ref-9&timezone=Europe/Stockholm")
    sent = hands.fill_in(details_url, name="Jo van Bloggs", email="jo@example.com")
    target = urlsplit(sent.headers["Location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == f"{receiver.url}/bookings/scheduled"
    passed = {key: values[0] for key, values in parse_qs(target.query).items()}
    assert passed["invitee_first_name"] == "Jo van"
    assert passed["invitee_last_name"] == "Bloggs"
    assert passed["utm_content"] == "ref-9"
    assert passed["event_type_uuid"] == "ETMAYACONSULT060"
    # In the visitor's own zone, with its offset.
    assert passed["event_start_time"][-6:] in {"+01:00", "+02:00"}
    payload = receiver.payload("invitee.created")
    assert payload["uri"].endswith(passed["invitee_uuid"])
    embedded_url = hands.first_time(f"{url}?embed_domain=app.example")
    kept = hands.fill_in(embedded_url, name="Jo", email="jo@example.com")
    onward = one(hands.page(kept.headers["Location"]), "a[target=_top]")
    assert str(onward["href"]).startswith(f"{receiver.url}/bookings/scheduled?")


def test_the_invitee_s_own_links_cancel_and_reschedule(hands: Hands, receiver: Receiver) -> None:
    invitee = hands.book(utm_content="ref-9")
    move_url = hands.first_time(invitee["reschedule_url"])
    moved = hands.fill_in(move_url, reason="A train")
    assert moved.status_code == 303
    done = hands.page(moved.headers["Location"])
    assert "Your new time is set" in done.get_text()
    pair = receiver.wait_for("invitee.canceled", "invitee.created")[-2:]
    old, new = (each.json["payload"] for each in pair)
    assert old["cancellation"] == {**old["cancellation"], "reason": "A train", "canceler_type": "invitee"}
    canceled = hands.fill_in(new["cancel_url"], reason="")
    assert canceled.status_code == 200
    assert "This booking is canceled" in canceled.text
    assert "<form" not in str(hands.page(new["cancel_url"]))
    last = receiver.wait_for("invitee.created", "invitee.canceled", "invitee.created", "invitee.canceled")[-1]
    assert (last.event, last.json["payload"]["uri"]) == ("invitee.canceled", new["uri"])
    assert last.json["payload"]["rescheduled"] is False


def test_what_is_not_offered_has_no_page(hands: Hands) -> None:
    inactive = "/kenji-mori/prompting-workshop-2025"
    for path in (inactive, "/unknown", "/ada-okonkwo/unknown", f"{TYPE}/not-a-time"):
        assert hands.status(path) == 404
    offered = hands.page("/kenji-mori").get_text()
    assert "Code Review of Your App" in offered
    assert "Prompting Workshop" not in offered
