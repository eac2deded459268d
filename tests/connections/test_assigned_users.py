"""An operator chooses a Calendly user of the platform's organization for a builder who has none."""

from __future__ import annotations

import sqlalchemy as sa

from bookingapp.accounts.models import Account
from bookingapp.builders.models import Builder
from bookingapp.connections.models import AuditEntry
from bookingapp.core.db import transaction
from tests.factories import log_in_at_once, make_builder, make_session_type
from tests.live import ADA, KENJI, Live, press
from tests.pages import PageClient, parse

PATH = "/operator/builders/noor/calendly-user"


def newcomer(live: Live) -> Builder:
    """A builder with a price and no Calendly user."""
    with live.database() as session:
        made = make_builder(session, slug="noor", calendly_user_uri=None)
        make_session_type(session, made, event_type_uri=live.hands.event_type("ETKENJIREVIEW030"))
    return made


def operators_browser(live: Live, builder: Builder) -> PageClient:
    browser = live.browser()
    with live.database() as session, transaction(session):
        is_theirs = Account.id == builder.account_id
        session.execute(sa.update(Account).where(is_theirs).values(is_operator=True))
    log_in_at_once(live.app, browser, builder.account_id)
    return browser


def test_a_user_is_chosen(live: Live) -> None:
    """Among those who belong to nobody; then the builder's page has that user's sessions."""
    ada = live.builder("ada", ADA)
    noor = newcomer(live)
    operator = operators_browser(live, ada)
    options = operator.page(PATH).select("#user option")
    assert {str(one["value"]).rpartition("/")[2] for one in options} >= {KENJI}
    assert ADA not in str(options)
    assert "SBXPLATFORM" not in str(options)
    form = {"user": live.hands.user(KENJI), "reason": "Noor has no account there."}
    assert press(operator, PATH, {**form, "user": live.hands.user(ADA)}).status_code == 422
    assert press(operator, PATH, form).status_code == 303
    page = live.browser().page("/builders/noor/session-types")
    assert page.select("[data-session-type=ETKENJIREVIEW030][data-bookable=true]")
    dashboard = live.browser("noor").page("/dashboard/connection")
    assert dashboard.one("[data-connection]")["data-connection"] == "platform"
    assert "connected you with a Calendly account of theirs" in dashboard.words
    with live.database() as session:
        assert session.get_one(Builder, noor.id).calendly_user_uri == live.hands.user(KENJI)
        assert session.scalars(sa.select(AuditEntry.kind)).all() == ["user.assigned"]
    assert press(operator, PATH, form).status_code == 422


def test_while_calendly_does_not_answer(live: Live) -> None:
    ada = live.builder("ada", ADA)
    newcomer(live)
    operator = operators_browser(live, ada)
    live.fault("500", path_prefix="/calendly-api")
    answer = operator.get(PATH)
    assert answer.status_code == 503
    assert "We cannot list Calendly's users: no answer." in parse(answer).words


def test_a_right_is_missing(live: Live) -> None:
    """An operator reads which, and nothing about a person that one wants to book."""
    ada = live.builder("ada", ADA)
    newcomer(live)
    operator = operators_browser(live, ada)
    live.hands.control("calendly/scopes", scope="users:read")
    answer = operator.get(PATH)
    assert answer.status_code == 503
    assert "missing: users:read" in parse(answer).words
    assert "the person you want to book" not in parse(answer).words


def test_nobody_is_left_to_choose(live: Live) -> None:
    ada = live.builder("ada", ADA)
    newcomer(live)
    operator = operators_browser(live, ada)
    for number, option in enumerate(operator.page(PATH).select("#user option")):
        with live.database() as session:
            make_builder(session, slug=f"other-{number}", calendly_user_uri=str(option["value"]))
    answer = operator.get(PATH)
    assert answer.status_code == 409
    assert "is a builder already. Add a user in Calendly first" in parse(answer).words
