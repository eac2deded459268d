"""The OAuth client: what is sent, what is read, and what each refusal means."""

from __future__ import annotations

import base64
import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock
from urllib.parse import parse_qsl

import pytest
import requests

from bookingapp.integrations.calendly import (
    SCOPES,
    CalendlyBadReply,
    CalendlyError,
    CalendlyRateLimited,
    CalendlyRejected,
    CalendlyUnavailable,
    InvalidClient,
    InvalidGrant,
    OAuthClient,
    missing_scopes,
)
from tests.unit.integrations.clients import Wire

AUTH = "https://auth.calendly.com"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
# As the documentation prints it, with a scope.
GRANT = {
    "token_type": "Bearer",
    "expires_in": 7200,
    "created_at": 1548689183,
    "refresh_token": "b77a76ffce83d3bc20531ddfa76704e584f0ee963f6041b8bbc70c91373267d5",
    "access_token": "5d8a1f5c2f4c1e9b5cd9c21b5c7d4b1f5b5c6e9f3a2d1c0b9a8f7e6d5c4b3a29",
    "scope": "users:read scheduled_events:write",
    "owner": "https://api.calendly.com/users/EBHAAFHDCAEQTSEZ",
    "organization": "https://api.calendly.com/organizations/EBHAAFHDCAEQTSEZ",
}
SECRETS = (str(GRANT["refresh_token"]), str(GRANT["access_token"]), "the-secret", "the-code", VERIFIER)


def make(**how: Any) -> OAuthClient:
    values = {
        "auth_url": f"{AUTH}/",
        "client_id": "the-id",
        "client_secret": "the-secret",
        "user_agent": "bookingapp-tests/1",
        **how,
    }
    return OAuthClient(**values)


def sent(wire: Wire) -> tuple[dict[str, str], requests.PreparedRequest]:
    request = wire.calls[-1].request
    body = request.body if isinstance(request.body, str) else (request.body or b"").decode()
    return dict(parse_qsl(body)), request


def test_the_address_of_the_consent_has_no_secret() -> None:
    address = make().authorize_url(redirect_uri="https://book.example/cb", state="a state", verifier=VERIFIER)
    assert "the-secret" not in address
    assert VERIFIER not in address


def test_a_code_is_exchanged(wire: Wire) -> None:
    """The app is named by HTTP Basic, the rest is in the body; the pair is read with our own clock."""
    wire.post(f"{AUTH}/oauth/token", json=GRANT)
    before = datetime.now(UTC)
    grant = make().exchange(code="the-code", redirect_uri="https://book.example/cb", verifier=VERIFIER)
    form, request = sent(wire)
    assert form == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": "https://book.example/cb",
        "code_verifier": VERIFIER,
    }
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"the-id:the-secret").decode()
    assert request.headers["User-Agent"] == "bookingapp-tests/1"
    assert (grant.access_token, grant.refresh_token) == (GRANT["access_token"], GRANT["refresh_token"])
    assert abs(grant.expires_at - before - timedelta(hours=2)) < timedelta(seconds=5)
    assert grant.scopes == {"users:read", "scheduled_events:write"}
    assert (grant.owner, grant.organization) == (GRANT["owner"], GRANT["organization"])
    assert not any(secret in repr(grant) for secret in SECRETS)


def test_a_pair_is_renewed(wire: Wire) -> None:
    """Answers from before 2023 name no organization."""
    wire.post(f"{AUTH}/oauth/token", json={**GRANT, "organization": None})
    grant = make().refresh("the-old-one")
    form, _ = sent(wire)
    assert form == {"grant_type": "refresh_token", "refresh_token": "the-old-one"}
    assert grant.organization is None


@pytest.mark.parametrize(("status", "body"), [(200, {}), (400, {"error": "invalid_grant"})])
def test_a_token_is_revoked_or_was_already(wire: Wire, status: int, body: dict[str, str]) -> None:
    """Here the app is named in the body."""
    wire.post(f"{AUTH}/oauth/revoke", status=status, json=body)
    make().revoke("a-token")
    form, request = sent(wire)
    assert form == {"client_id": "the-id", "client_secret": "the-secret", "token": "a-token"}
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": "invalid_grant", "error_description": "The provided grant is spent."}, InvalidGrant),
        (401, {"error": "invalid_grant"}, InvalidGrant),
        (401, {"error": "invalid_client"}, InvalidClient),
        (403, {"error": "unauthorized_client"}, InvalidClient),
        (401, "<html>no</html>", InvalidClient),
        (400, {"error": "invalid_request"}, CalendlyRejected),
        (400, "<html>no</html>", CalendlyRejected),
        (400, ["invalid_grant"], CalendlyRejected),
        (429, {}, CalendlyRateLimited),
        (500, {"error": "invalid_grant"}, CalendlyUnavailable),
        (503, "", CalendlyUnavailable),
        (302, "", CalendlyRejected),
        (200, "<html>maintenance</html>", CalendlyBadReply),
        (200, [], CalendlyBadReply),
        (200, {**GRANT, "access_token": ""}, CalendlyBadReply),
        (200, {**GRANT, "refresh_token": None}, CalendlyBadReply),
        (200, {**GRANT, "owner": 7}, CalendlyBadReply),
        (200, {**GRANT, "expires_in": "soon"}, CalendlyBadReply),
        (200, {**GRANT, "expires_in": 0}, CalendlyBadReply),
        (200, {**GRANT, "expires_in": True}, CalendlyBadReply),
    ],
)
def test_refusals_and_bad_answers(
    wire: Wire, caplog: pytest.LogCaptureFixture, status: int, body: Any, error: type[CalendlyError]
) -> None:
    how: dict[str, Any] = {"body": body} if isinstance(body, str) else {"json": body}
    headers = {"X-RateLimit-Reset": "60", "Location": "https://elsewhere.example/"}
    wire.post(f"{AUTH}/oauth/token", status=status, headers=headers, **how)
    with caplog.at_level(logging.DEBUG), pytest.raises(CalendlyError) as refused:
        make().refresh(str(GRANT["refresh_token"]))
    assert type(refused.value) is error
    assert len(wire.calls) == 1
    said = f"{refused.value} {refused.value.__cause__} {caplog.text}"
    assert not any(str(secret) in said for secret in SECRETS)
    if error is CalendlyRateLimited:
        assert refused.value.retry_after == 60


@pytest.mark.parametrize("fault", [requests.ConnectionError("no"), requests.ReadTimeout("slow")])
def test_no_answer(wire: Wire, fault: Exception) -> None:
    wire.post(f"{AUTH}/oauth/token", body=fault)
    with pytest.raises(CalendlyUnavailable):
        make().refresh("the-old-one")
    assert len(wire.calls) == 1


def test_an_endless_answer_is_cut_off(wire: Wire) -> None:
    wire.post(f"{AUTH}/oauth/token", body=b"x" * 200_000)
    with pytest.raises(CalendlyBadReply, match="too long"):
        make().refresh("the-old-one")


@pytest.mark.parametrize("how", [{"client_id": None}, {"client_secret": " "}, {"client_id": ""}])
def test_without_an_app_nothing_is_sent(how: dict[str, Any]) -> None:
    client = make(**how)
    assert not client.is_configured
    with pytest.raises(InvalidClient):
        client.refresh("the-old-one")


def test_the_guard_comes_before_the_call() -> None:
    guard = Mock(side_effect=RuntimeError("a transaction is open"))
    with pytest.raises(RuntimeError, match="a transaction is open"):
        make(before_call=guard).refresh("the-old-one")


def test_scopes_that_are_missing() -> None:
    assert missing_scopes(SCOPES) == ()
    assert missing_scopes(["scheduled_events:write", "users:read", "webhooks:write"]) == (
        "event_types:read",
        "availability:read",
        "scheduling_links:write",
    )
    assert missing_scopes([]) == tuple(SCOPES)
