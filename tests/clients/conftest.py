"""A builder whose pathway session asks for a verified address, and the clients' mailbox."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from flask import Flask

from bookingapp.builders.models import Builder
from bookingapp.core.db import db
from bookingapp.core.settings import Settings
from bookingapp.session_types.models import Category
from bookingapp.worker import run_due
from tests import fakes
from tests.factories import event_type_uri, make_builder, make_session_type, user_uri
from tests.mailbox import Mailbox, link, text
from tests.pages import PageClient, new_client


@dataclass
class Post:
    """The clients' mail, and the worker that sends it."""

    app: Flask
    mailbox: Mailbox

    def deliver(self) -> None:
        """Send everything that is due."""
        run_due(self.app)

    def link(self, address: str) -> str:
        """The path of the newest link for that address."""
        self.deliver()
        links = [mail for mail in self.mailbox.to(address) if "/my-bookings/link/" in text(mail)]
        return link(links[-1])


@pytest.fixture
def post(app: Flask, settings: Settings) -> Post:
    return Post(app, Mailbox(settings.instance_dir / "outbox"))


@pytest.fixture
def other(app: Flask) -> PageClient:
    return new_client(app)


@pytest.fixture
def ada(app: Flask, calendly_wire: fakes.Calendly) -> Builder:
    """Ada offers a pathway session, which asks, and an open one, which does not."""
    user = user_uri("ADA0000000000001")
    with app.app_context():
        builder = make_builder(db.session(), slug="ada", display_name="Ada Okonkwo", calendly_user_uri=user)
        for name, category in (("PATHWAY", Category.PATHWAY), ("OPEN", Category.OTHER)):
            calendly_wire.add_type(user, event_type_uri(name), name=f"{name.title()} Session")
            make_session_type(
                db.session(),
                builder,
                event_type_uri=event_type_uri(name),
                category=category,
                requires_sign_in=category is Category.PATHWAY,
            )
    return builder
