"""Calendly's OAuth: consent, rotation and revocation of tokens, scopes."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from .support import ADA, KENJI, Hands, Receiver

VERIFIER = "a-verifier-that-is-long-enough-to-be-accepted-by-anyone"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CLIENT = ("sandbox-client", "sandbox-client-secret")


def callback(receiver: Receiver) -> str:
    return f"{receiver.url}/dashboard/connection/callback"


def authorize(hands: Hands, receiver: Receiver, decision: str = "allow", **changes: str) -> requests.Response:
    query = {
        "client_id": CLIENT[0],
        "response_type": "code",
        "redirect_uri": callback(receiver),
        "scope": "users:read event_types:read scheduled_events:read",
        "state": "state-1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    url = f"{hands.base}/calendly-auth/oauth/authorize?{urlencode(query)}"
    first = hands.http.get(url, timeout=5)
    if first.status_code != 200:
        return first
    assert "Ada Okonkwo" in first.text
    form = {"user": ADA, "decision": decision}
    return hands.http.post(url, data=form, allow_redirects=False, timeout=5)


def answered(response: requests.Response) -> dict[str, str]:
    assert response.status_code == 303
    return {key: values[0] for key, values in parse_qs(urlsplit(response.headers["Location"]).query).items()}


def code_form(hands: Hands, receiver: Receiver) -> dict[str, str]:
    code = answered(authorize(hands, receiver))["code"]
    return {"grant_type": "authorization_code", "code": code, "redirect_uri": callback(receiver)}


def token(hands: Hands, secret: str = CLIENT[1], **form: str) -> requests.Response:
    url = f"{hands.base}/calendly-auth/oauth/token"
    return hands.http.post(url, data=form, auth=(CLIENT[0], secret), timeout=5)


def connect(hands: Hands, receiver: Receiver) -> dict[str, Any]:
    response = token(hands, **code_form(hands, receiver), code_verifier=VERIFIER)
    assert response.status_code == 200, response.text
    grant: dict[str, Any] = response.json()
    return grant


def bearer(grant: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {grant['access_token']}"}


def test_a_builder_connects_and_sees_only_their_own(hands: Hands, receiver: Receiver) -> None:
    grant = connect(hands, receiver)
    assert (grant["token_type"], grant["expires_in"], grant["owner"]) == ("Bearer", 7200, hands.user())
    builder = bearer(grant)
    assert hands.get("/users/me", headers=builder).json()["resource"]["name"] == "Ada Okonkwo"
    owners = {"user": hands.user()}, {"user": hands.user(KENJI)}, {"organization": hands.organization}
    listed = [hands.get("/event_types", headers=builder, **owner).status_code for owner in owners]
    assert listed == [200, 403, 403]
    other = hands.book("ETKENJICONSUL060")["event"]
    assert hands.get(other, headers=builder).status_code == 403


def test_a_call_without_its_scope_is_refused_by_name(hands: Hands, receiver: Receiver) -> None:
    builder, event = bearer(connect(hands, receiver)), hands.book()["event"]
    assert hands.get(event, headers=builder).status_code == 200
    refused = hands.post(f"{event}/cancellation", {}, headers=builder)
    assert refused.status_code == 403
    assert "scheduled_events:write" in refused.json()["required_scopes"]


def test_foreign_addresses_and_clients_get_no_code(hands: Hands, receiver: Receiver) -> None:
    wrong = {"redirect_uri": "https://evil.example/cb", "client_id": "other", "response_type": "token"}
    for name, value in wrong.items():
        assert authorize(hands, receiver, **{name: value}).status_code == 400


def test_a_code_needs_its_verifier_and_works_once(hands: Hands, receiver: Receiver) -> None:
    form = code_form(hands, receiver)
    wrong = token(hands, **form, code_verifier="wrong")
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    assert token(hands, secret="wrong", **form, code_verifier=VERIFIER).status_code == 401
    assert token(hands, **form, code_verifier=VERIFIER).status_code == 200
    assert token(hands, **form, code_verifier=VERIFIER).json()["error"] == "invalid_grant"


def test_tokens_expire_and_are_revoked(hands: Hands, receiver: Receiver) -> None:
    grant = connect(hands, receiver)
    hands.control(f"calendly/oauth/{ADA}/revoke", expire=True)
    expired = hands.get("/users/me", headers=bearer(grant))
    assert (expired.status_code, expired.json()["message"]) == (401, "The access token expired")
    fresh = token(hands, grant_type="refresh_token", refresh_token=grant["refresh_token"]).json()
    url = f"{hands.base}/calendly-auth/oauth"
    client = {"client_id": CLIENT[0], "client_secret": CLIENT[1], "token": fresh["access_token"]}
    assert hands.http.post(f"{url}/introspect", data=client, timeout=5).json()["active"] is True
    assert hands.http.post(f"{url}/revoke", data=client, timeout=5).json() == {}
    assert hands.http.post(f"{url}/introspect", data=client, timeout=5).json() == {"active": False}
    assert "revoked" in hands.get("/users/me", headers=bearer(fresh)).json()["message"]
