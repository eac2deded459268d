"""From the button on the dashboard to Calendly's consent page and back, and away again."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import sqlalchemy as sa

from bookingapp.builders.models import Builder
from bookingapp.connections.models import AuditEntry, ConnectionState, OAuthAttempt, PendingRevocation
from bookingapp.core.clock import utcnow
from bookingapp.core.db import transaction
from bookingapp.worker import run_due
from tests.connections.conftest import Connected, Town, connect, consent
from tests.live import ADA, KENJI, press
from tests.pages import PageClient, parse

PAGE = "/dashboard/connection"


def is_good(town: Town, token: str) -> bool:
    form = {"client_id": "sandbox-client", "client_secret": "sandbox-client-secret", "token": token}
    url = f"{town.hands.base}/calendly-auth/oauth/introspect"
    return bool(requests.post(url, data=form, timeout=10).json()["active"])


def raw(town: Town, table: str) -> str:
    """A table as it lies on the disk; it has to have a row."""
    with town.database() as session:
        rows = session.execute(sa.text(f"SELECT * FROM {table}")).all()
    assert rows
    return str(rows)


def kinds(town: Town) -> list[str]:
    return town.all(sa.select(AuditEntry.kind).order_by(AuditEntry.id))


@pytest.mark.any_database
def test_a_builder_connects_and_disconnects(town: Town, ada: Builder, browser: PageClient) -> None:
    """With PKCE and a state, and the pair sealed in the database; at the end both tokens are revoked."""
    page = browser.page(PAGE)
    assert page.one("[data-connection]")["data-connection"] == "platform"
    policy = browser.get(PAGE).headers["Content-Security-Policy"]
    form_action = next(part for part in policy.split("; ") if part.startswith("form-action"))
    assert town.hands.base in form_action

    sent = press(browser, f"{PAGE}/connect")
    asked = urlsplit(sent.headers["Location"])
    query = {name: values[0] for name, values in parse_qs(asked.query).items()}
    assert (sent.status_code, asked.path) == (303, "/calendly-auth/oauth/authorize")
    assert query["code_challenge_method"] == "S256"
    assert len(query["code_challenge"]) == 43
    assert len(query["state"]) >= 32
    assert query["redirect_uri"] == "http://localhost/dashboard/connection/callback"
    assert {"event_types:read", "availability:read", "webhooks:write"} <= set(query["scope"].split())

    back = connect(town, browser)
    assert (back.status_code, back.headers["Location"]) == (303, PAGE)
    page = browser.page(PAGE)
    assert page.one("[data-connection]")["data-connection"] == "connected"
    assert "Your Calendly account is connected." in page.words

    row = town.connection(ada)
    assert row.access_token
    assert row.refresh_token
    assert is_good(town, row.access_token)
    stored = raw(town, "calendly_connections")
    assert row.access_token not in stored
    assert row.refresh_token not in stored
    assert town.reread(ada).calendly_user_uri == town.hands.user(ADA)
    assert kinds(town) == ["connection.made"]
    assert town.user_name(town.reread(ada).tenant) == "Ada Okonkwo"
    assert town.user_name("platform") == "Booking Platform"

    # The operator had allowed the platform's token for this very user, so it serves again after disconnecting.
    answer = press(browser, f"{PAGE}/disconnect")
    assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    assert not is_good(town, row.access_token)
    assert not is_good(town, row.refresh_token)
    gone = town.connection(ada)
    assert (gone.state, gone.access_token, gone.refresh_token) == (ConnectionState.DISCONNECTED, None, None)
    assert town.reread(ada).disconnected_at is None
    assert browser.page(PAGE).one("[data-connection]")["data-connection"] == "platform"
    assert town.user_name(town.reread(ada).tenant) == "Booking Platform"
    assert kinds(town) == ["connection.made", "connection.ended"]
    assert press(browser, f"{PAGE}/disconnect").status_code == 409


def test_no_is_an_answer(town: Town, ada: Builder, browser: PageClient) -> None:
    back = consent(town, browser, decision="deny")
    first, second = browser.get(back), browser.get(back)
    assert "You did not allow" in parse(first).words
    assert "works once" in parse(second).words
    assert (first.status_code, second.status_code) == (400, 400)
    assert town.no_connection(ada)


def test_a_state_works_once(town: Town, ada: Builder, browser: PageClient) -> None:
    back = consent(town, browser)
    assert browser.get(back).status_code == 303
    kept = town.connection(ada).access_token
    again = browser.get(back)
    assert again.status_code == 400
    assert "Your account was not connected" in parse(again).words
    assert town.connection(ada).access_token == kept


@pytest.mark.parametrize("state", ["", "made-up", "x" * 3000])
def test_a_state_that_we_never_gave(town: Town, state: str, ada: Builder, browser: PageClient) -> None:
    code = parse_qs(urlsplit(consent(town, browser)).query)["code"][0]
    town.requests()
    answer = browser.get(f"{PAGE}/callback", query_string={"code": code, "state": state})
    assert answer.status_code == 400
    assert town.no_connection(ada)
    assert town.requests() == []


def test_a_state_is_good_in_its_own_browser_only(town: Town, ada: Builder, browser: PageClient) -> None:
    """Refused: another browser of the same builder, another builder, and a visitor without a log-in."""
    kenji = town.builder("kenji", KENJI)
    back = consent(town, browser)
    for other in (town.browser("ada"), town.browser("kenji")):
        answer = other.get(back)
        assert answer.status_code == 400
        assert "in the browser where you began" in parse(answer).words
    stranger = town.browser().get(back)
    assert stranger.status_code == 401
    assert "code=" not in stranger.headers.get("Location", "")
    assert town.no_connection(ada)
    assert town.no_connection(kenji)
    assert browser.get(back).status_code == 303


def test_a_state_lives_ten_minutes(town: Town, ada: Builder, browser: PageClient) -> None:
    """It is stored as a hash, and its verifier sealed."""
    back = consent(town, browser)
    state = parse_qs(urlsplit(back).query)["state"][0]
    stored = raw(town, "oauth_attempts")
    (verifier,) = town.all(sa.select(OAuthAttempt.verifier))
    assert state not in stored
    assert verifier not in stored
    assert len(verifier) >= 43
    with town.database() as session, transaction(session):
        row = session.scalars(sa.select(OAuthAttempt)).one()
        assert timedelta(minutes=9) < row.expires_at - utcnow() <= timedelta(minutes=10)
        row.expires_at = utcnow()
    assert browser.get(back).status_code == 400
    assert town.no_connection(ada)
    consent(town, browser)
    assert len(town.all(sa.select(OAuthAttempt.id))) == 1


def test_a_calendly_account_belongs_to_one_builder(town: Town, connected: Connected) -> None:
    """The second one is refused, nothing of it is kept, and Calendly forgets what it gave."""
    ada, _ = connected()
    kenji = town.builder("kenji", KENJI)
    before = town.connection(ada).access_token
    answer = connect(town, town.browser("kenji"), user=ADA)
    assert answer.status_code == 409
    assert "belongs to another builder" in parse(answer).words
    assert town.no_connection(kenji)
    assert town.reread(kenji).calendly_user_uri == town.hands.user(KENJI)
    assert town.connection(ada).access_token == before
    assert town.requests().count(("POST", "/calendly-auth/oauth/revoke")) == 2
    assert town.all(sa.select(PendingRevocation.id)) == []


def test_rights_that_were_not_given_are_named(town: Town, browser: PageClient) -> None:
    back = connect(town, browser, scope="users:read event_types:read scheduled_events:read")
    assert back.status_code == 303
    words = browser.page(PAGE).words
    assert "cancel a session (scheduled_events:write)" in words
    assert "read free times (availability:read)" in words
    assert "(event_types:read)" not in words
    assert "Connect again and keep everything ticked" in words


def test_the_connected_user_becomes_the_builders_own(town: Town) -> None:
    """Not the user whom the operator had entered, so the platform's token does not serve after disconnecting."""
    made = town.builder(user="SOMEBODYELSE0001")
    before, browser = made.tenant, town.browser("ada")
    connect(town, browser)
    now = town.reread(made)
    assert now.calendly_user_uri == town.hands.user(ADA)
    assert now.tenant != before
    assert not town.connection(made).platform_may_serve
    press(browser, f"{PAGE}/disconnect")
    assert town.reread(made).disconnected_at is not None
    town.requests()
    page = browser.page(PAGE)
    assert page.one("[data-connection]")["data-connection"] == "disconnected"
    assert "Connect again" in page.words
    assert town.requests() == []


def test_the_worker_revokes_what_calendly_did_not_at_once(town: Town, connected: Connected) -> None:
    """Disconnecting works while Calendly is down; the tokens are kept until it has revoked them."""
    ada, browser = connected()
    token = town.connection(ada).refresh_token
    assert token
    town.hands.control("faults", provider="calendly", kind="500", path_prefix="/oauth/revoke")
    answer = press(browser, f"{PAGE}/disconnect", follow_redirects=True)
    assert "as soon as Calendly answers" in parse(answer).words
    assert is_good(town, token)
    assert town.all(sa.select(PendingRevocation.token)) != []
    assert token not in raw(town, "owed_revocations")
    town.hands.control("faults/clear")
    run_due(town.app)
    assert not is_good(town, token)
    assert town.all(sa.select(PendingRevocation.id)) == []


def test_another_builders_connection_is_out_of_reach(town: Town, connected: Connected) -> None:
    """Nothing in these addresses names a builder: each acts on the account that is logged in."""
    ada, _ = connected()
    town.builder("kenji", KENJI)
    before = town.connection(ada)
    kenjis = town.browser("kenji")
    assert press(kenjis, f"{PAGE}/disconnect").status_code == 409
    assert connect(town, kenjis, user=KENJI).status_code == 303
    assert press(kenjis, f"{PAGE}/disconnect").status_code == 303
    after = town.connection(ada)
    assert (after.state, after.access_token, after.fence) == (before.state, before.access_token, before.fence)


def test_calendly_failing_at_the_exchange_is_a_clear_page(
    town: Town, ada: Builder, browser: PageClient
) -> None:
    back = consent(town, browser)
    town.hands.control("faults", provider="calendly", kind="500", path_prefix="/oauth/token", remaining=1)
    answer = browser.get(back)
    assert answer.status_code == 503
    assert "Please try again in a moment" in parse(answer).words
    assert town.no_connection(ada)
    assert connect(town, browser).status_code == 303


class TestWithoutAnApp:
    """A site whose operator has registered no OAuth app."""

    @pytest.fixture
    def overrides(self) -> dict[str, object]:
        return {"calendly_client_id": None, "calendly_client_secret": None}

    def test_there_is_no_button(self, browser: PageClient) -> None:
        page = browser.page(PAGE)
        assert "not set up to connect your own account" in page.words
        assert not page.select("form[action$=connect]")
        assert press(browser, f"{PAGE}/connect").status_code == 409


def test_connecting_anew_lets_go_of_the_old_pair(town: Town, connected: Connected) -> None:
    ada, browser = connected()
    old = town.connection(ada).refresh_token
    assert old
    # The page has the button only where rights are missing; its address works in any case.
    assert browser.get(consent(town, browser)).status_code == 303
    run_due(town.app)
    assert not is_good(town, old)
    new = town.connection(ada).refresh_token
    assert new
    assert is_good(town, new)


def test_nothing_secret_is_written_to_the_log(
    town: Town, caplog: pytest.LogCaptureFixture, ada: Builder, browser: PageClient
) -> None:
    """Neither the state, the code, nor a token, from the first step to the last."""
    caplog.set_level("DEBUG")
    back = consent(town, browser)
    secrets = [values[0] for values in parse_qs(urlsplit(back).query).values()]
    assert browser.get(back).status_code == 303
    row = town.connection(ada)
    secrets += [str(row.access_token), str(row.refresh_token)]
    town.age(ada, timedelta(seconds=-1))
    town.user_name(town.reread(ada).tenant)
    row = town.connection(ada)
    secrets += [str(row.access_token), str(row.refresh_token), "sandbox-client-secret"]
    assert press(browser, f"{PAGE}/disconnect").status_code == 303
    # Only the application's own loggers: the browser of this test and its HTTP library write addresses too.
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("bookingapp")]
    assert any("tokens_renewed" in line for line in ours)
    assert len(set(secrets)) == 7
    assert not [line for line in ours for secret in secrets if secret in line]
