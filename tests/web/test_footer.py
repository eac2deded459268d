"""Whom to ask, and what applies, on every page."""

from __future__ import annotations

from pathlib import Path

import pytest

from bookingapp.core.settings import Settings
from tests.conftest import close, make_app, make_settings
from tests.pages import PageClient
from tests.web.conftest import Offer

FOOTER = {
    "mailto:help@hours.example": "Support: help@hours.example",
    "https://hours.example/terms?v=2": "Terms",
    "https://hours.example/privacy": "Privacy",
}


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """With everything that an operator may name."""
    mail, terms, privacy = FOOTER
    return make_settings(
        tmp_path,
        database_url=database_url,
        support_email=mail.removeprefix("mailto:"),
        terms_url=terms,
        privacy_url=privacy,
    )


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/login", 200), ("/builders/ada-okonkwo", 200), ("/nothing-here", 404)]
)
def test_it_stands_on_every_page(client: PageClient, ada: Offer, path: str, status: int) -> None:
    """Also where something is missing."""
    links = client.page(path, status=status).select("footer .site-footer__links a[href]")
    assert {str(link["href"]): link.text for link in links} == FOOTER


def test_without_the_settings_there_is_none(tmp_path: Path, database_url: str) -> None:
    """No list without an entry."""
    app = make_app(make_settings(tmp_path, database_url=database_url))
    client = app.test_client()
    assert isinstance(client, PageClient)
    assert not client.page("/nothing-here", status=404).select(".site-footer__links")
    assert not client.page("/login").select(".site-footer__links")
    close(app)
