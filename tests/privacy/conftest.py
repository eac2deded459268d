"""The road of a client's booking, and one who is signed in."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from bookingapp.core.db import Base
from tests.life.conftest import road
from tests.life.road import CLIENT
from tests.live import Live, app_url, hands, live, settings
from tests.mailbox import Mailbox, link, text
from tests.pages import PageClient

__all__ = ["app_url", "hands", "live", "road", "settings"]


def sign_in(shop: Live, mails: Mailbox, address: str = CLIENT) -> PageClient:
    """A browser in which that address was verified by the link that is mailed to it."""
    browser = shop.browser()
    assert browser.submit("/my-bookings", {"email": address}).status_code == 303
    shop.work()
    newest = [mail for mail in mails.to(address) if "/my-bookings/link/" in text(mail)][-1]
    assert browser.submit(link(newest)).status_code == 303
    return browser


def places_of(session: Session, *needles: str) -> Iterator[str]:
    """``table.column`` of every value in the whole database that contains one of the texts, whatever its type."""
    wanted = [needle.casefold() for needle in needles]
    for table in Base.metadata.sorted_tables:
        for row in session.execute(sa.text(f"SELECT * FROM {table.name}")).mappings():
            for name, value in row.items():
                shown = (
                    bytes(value).decode(errors="replace")
                    if isinstance(value, bytes | memoryview)
                    else str(value)
                )
                if any(needle in shown.casefold() for needle in wanted):
                    yield f"{table.name}.{name}"
