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
    "/privacy": "Privacy",
}


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """With everything that an operator may name."""
    mail, terms, _ = FOOTER
    return make_settings(
        tmp_path,
        database_url=database_url,
        support_email=mail.removeprefix("mailto:"),
        terms_url=terms,
        privacy_url="https://hours.example/privacy",
    )


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/login", 200), ("/builders/ada-okonkwo", 200), ("/nothing-here", 404)]
)
def test_it_stands_on_every_page(client: PageClient, ada: Offer, path: str, status: int) -> None:
    """Also where something is missing."""
    links = client.page(path, status=status).select("footer .site-footer__links a[href]")
    assert {str(link["href"]): link.text for link in links} == FOOTER


def test_without_the_settings_there_is_privacy_alone(tmp_path: Path, database_url: str) -> None:
    """Our own page, which names no notice of an operator then."""
    app = make_app(make_settings(tmp_path, database_url=database_url))
    client = app.test_client()
    assert isinstance(client, PageClient)
    for path, status in (("/nothing-here", 404), ("/login", 200)):
        links = client.page(path, status=status).select(".site-footer__links a[href]")
        assert [str(link["href"]) for link in links] == ["/privacy"]
    assert not client.page("/privacy").select("main a[href^='https:']")
    close(app)


def test_the_notice_of_the_operator_is_linked_from_ours(client: PageClient) -> None:
    link = client.page("/privacy").one("main a[href='https://hours.example/privacy']")
    assert link.text == "The full privacy notice of this site's operator"
