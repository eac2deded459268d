"""The operators' console: who may see it, and the record of what operators did."""

from __future__ import annotations

from flask import Flask

from tests.pages import PageClient
from tests.web.conftest import LogInAs, Offer
from tests.web.test_deliveries import give_profile_away, promote


def test_an_operator_lands_on_the_console(app: Flask, ada: Offer, log_in: LogInAs) -> None:
    """One without a builder's profile; a builder who is an operator too has the dashboard and a link to the console."""
    promote(app, ada)
    browser = log_in(ada)
    assert [link["href"] for link in browser.page("/dashboard").select("header a[href='/operator']")]
    give_profile_away(app, ada)
    answer = browser.get("/dashboard")
    assert (answer.status_code, answer.location) == (303, "/operator")
    assert browser.page("/operator").one("h1").text == "To do"


def test_the_log_in_leads_back_to_the_console(app: Flask, ada: Offer, client: PageClient) -> None:
    promote(app, ada)
    answer = client.get("/operator")
    assert (answer.status_code, answer.location) == (303, "/login?next=/operator?")
