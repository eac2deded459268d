"""Round robin, collective types and other hosts' events: the set-up check warns, and a mismatch is flagged."""

from __future__ import annotations

from typing import Any

import pytest

from bookingapp.bookings.codes import FlagCode
from bookingapp.core import services
from bookingapp.core.settings import Settings
from tests.live import HOUR, KENJI, Live
from tests.mailbox import Mailbox, text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pooling_type": "round_robin"}, "may give a session to another host"),
        ({"pooling_type": "multi_pool"}, "may give a session to another host"),
        ({"pooling_type": "collective"}, "several hosts who all take part"),
        ({"profile_owner": KENJI}, "belongs to somebody else in Calendly"),
    ],
)
def test_the_set_up_check_warns(live: Live, change: dict[str, Any], words: str) -> None:
    """On the dashboard and in the command."""
    live.builder()
    live.hands.control(f"calendly/event-types/{HOUR}", **change)
    live.work()
    page = live.browser("ada").page(f"/dashboard/session-types/{HOUR}/check")
    assert words in page.one("[data-level=amber]").text
    assert words in live.runner().invoke(args=["calendly", "check"]).stdout


def test_ones_own_type_needs_no_warning(live: Live) -> None:
    """And says whose it is."""
    live.builder()
    page = live.browser("ada").page(f"/dashboard/session-types/{HOUR}/check")
    assert "You hold its sessions." in page.words
    assert not page.select("[data-level=amber]")


def test_a_session_that_another_host_holds(live: Live) -> None:
    """The builder is asked, and nobody is told that the builder comes."""
    live.builder()
    store = live.hands.server.sandbox.store
    browser, ref = live.book()
    live.fault("drop")
    invitee = live.choose(browser, ref)
    live.hands.control("faults/clear")
    event = invitee["event"].rpartition("/")[2]
    live.hands.control(f"calendly/events/{event}/change", user=KENJI)
    browser.submit(
        f"/bookings/{ref}/scheduled", {"event_uri": invitee["event"], "invitee_uri": invitee["uri"]}
    )
    assert live.booking(ref).attention == FlagCode.OTHER_HOST
    assert "Kenji Mori" in browser.page(f"/bookings/{ref}").one(".ticket").text
    dashboard = live.browser("ada").page(f"/dashboard/bookings/{live.booking(ref).tracking_id}").words
    assert "Calendly gave this session to another host" in dashboard
    assert "Kenji Mori" in dashboard
    answer = browser.submit(f"/bookings/{ref}/pay")
    live.hands.control(f"stripe/sessions/{answer.headers['Location'].rpartition('/')[2]}/pay")
    live.work()
    with live.database():
        mails = Mailbox(services.get(Settings).instance_dir / "outbox")
    for address, subject in (("grace@example.org", "You are booked"), ("ada@example.com", "New booking")):
        assert "Host: Kenji Mori" in text(mails.one(address, subject))
    assert store.get("event", event) is not None
