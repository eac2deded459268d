"""The pages of becoming a builder, and the console's about builders, in real Chromium: accessible, and as wide as a
small phone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from bookingapp.accounts import links
from bookingapp.accounts.codes import LinkPurpose
from bookingapp.bookings.states import Status
from bookingapp.builders.models import Builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.settings import Settings
from bookingapp.onboarding.applications import VALID_FOR
from bookingapp.onboarding.invitations import invite
from bookingapp.onboarding.models import Application, Decision
from tests.browsers import list_faults
from tests.conftest import make_settings
from tests.web.conftest import Book, Offer
from tests.web.test_console_in_a_browser import window
from tests.windows import app_url

__all__ = ["app_url", "window"]

pytestmark = pytest.mark.browser
GONE = ("/invitation/forged", "/become-a-builder/confirm/forged")


@pytest.fixture
def settings(tmp_path: Path, database_url: str, request: pytest.FixtureRequest) -> Settings:
    url = request.getfixturevalue("app_url")
    return make_settings(tmp_path, database_url=database_url, public_url=url, builder_signup="apply")


@pytest.fixture
def addresses(app: Flask, ada: Offer, kenji: Offer, book: Book) -> list[str]:
    """Every page, with something on each. Ada is an operator and a builder who has not booked herself."""
    now = utcnow()
    book(Status.COMPLETED, offer=kenji)
    with app.app_context(), transaction(db.session()) as session:
        theirs = session.get_one(Builder, kenji.builder.id)
        theirs.suspended_at, theirs.suspension_reason = now, "Two clients say that nobody came."
        theirs.featured_at = now
        for decision in (None, Decision.DECLINED):
            row = Application(email="noor@example.com", name="Noor Aziz", about="Small tools. " * 20)
            row.link, row.confirmed_at = "https://example.com/" + "long-" * 30, now
            if decision:
                row.decision, row.decided_at, row.answer = (
                    decision,
                    now,
                    "Thank you, but we are full of tools.",
                )
            session.add(row)
        invite(session, email="first@example.com", name="First", now=now)
        token = invite(
            session, email="a-very-long-address-indeed@example-company.com", name="Zoë", now=now
        ).token
        facts = {"name": "Noor Aziz", "about": "x", "link": ""}
        confirming = links.create_link(
            session, LinkPurpose.APPLICATION, email="n@example.com", valid_for=VALID_FOR, facts=facts, now=now
        ).token
    builders = "/operator/builders"
    return [
        "/become-a-builder",
        "/become-a-builder/sent",
        f"/become-a-builder/confirm/{confirming}",
        f"/invitation/{token}",
        "/dashboard",
        builders,
        f"{builders}?q=nobody",
        f"{builders}/ada-okonkwo",
        f"{builders}/kenji-mori",
        f"{builders}/kenji-mori/restore",
        f"{builders}/ada-okonkwo/tier",
        "/operator/invitations",
        "/operator/invitations/new",
        "/operator/applications",
        *GONE,
    ]


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}),
        # In German, whose words are the longest.
        (
            "dark",
            {
                "viewport": {"width": 320, "height": 640},
                "color_scheme": "dark",
                "is_mobile": True,
                "locale": "de",
            },
        ),
    ],
)
def test_every_page_is_accessible_and_fits(
    request: pytest.FixtureRequest, addresses: list[str], name: str, options: dict[str, Any]
) -> None:
    page = request.getfixturevalue("window")(**options, reduced_motion="reduce")
    wrong = list_faults(page, addresses, f"way-{name}", gone=GONE)
    assert wrong == []
