"""Calendly's OAuth: consent, tokens that rotate, scopes that bind."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

from .support import ADA, HOUR, Hands, Receiver

VERIFIER = "a-verifier-that-is-long-enough-to-be-accepted-by-anyone"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CLIENT = ("sandbox-client", "sandbox-client-secret")


def authorize(hands: Hands, receiver: Receiver, decision: str = "allow", **changes: str) -> requests.Response:
    query = {
        "client_id": CLIENT[0],
        "response_type": "code",
        "redirect_uri": f"{receiver.url}/dashboard/connection/callback",
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


def token(hands: Hands, secret: str = CLIENT[1], **form: str) -> requests.Response:
    return hands.http.post(
        f"{hands.base}/calendly-auth/oauth/token", data=form, auth=(CLIENT[0], secret), timeout=5
    )


def connect(hands: Hands, receiver: Receiver) -> dict[str, Any]:
    code = answered(authorize(hands, receiver))["code"]
    response = token(
        hands,
        grant_type="authorization_code",
        code=code,
        redirect_uri=f"{receiver.url}/dashboard/connection/callback",
        code_verifier=VERIFIER,
    )
    assert response.status_code == 200, response.text
    grant: dict[str, Any] = response.json()
    return grant


def as_builder(hands: Hands, access: str, path: str, **params: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {access}"}
    return hands.http.get(f"{hands.api}{path}", params=params, headers=headers, timeout=5)


def test_a_builder_connects_and_sees_only_their_own(hands: Hands, receiver: Receiver) -> None:
    grant = connect(hands, receiver)
    assert (grant["token_type"], grant["expires_in"], grant["owner"]) == ("Bearer", 7200, hands.user())
    access = grant["access_token"]
    assert as_builder(hands, access, "/users/me").json()["resource"]["name"] == "Ada Okonkwo"
    assert as_builder(hands, access, "/event_types", user=hands.user()).status_code == 200
    assert as_builder(hands, access, "/event_types", user=hands.user("SBXKENJIMORI0002")).status_code == 403
    assert as_builder(hands, access, "/event_types", organization=hands.organization).status_code == 403
    other = hands.control("calendly/book", event_type="ETKENJICONSUL060")
    assert as_builder(hands, access, other["event"].removeprefix(hands.api)).status_code == 403


def test_a_call_without_its_scope_is_refused_by_name(hands: Hands, receiver: Receiver) -> None:
    access = connect(hands, receiver)["access_token"]
    event = hands.control("calendly/book", event_type=HOUR)["event"]
    headers = {"Authorization": f"Bearer {access}"}
    assert hands.http.get(event, headers=headers, timeout=5).status_code == 200
    refused = hands.http.post(f"{event}/cancellation", json={}, headers=headers, timeout=5)
    assert refused.status_code == 403
    assert "scheduled_events:write" in refused.json()["message"]


def test_state_comes_back_and_no_is_an_answer(hands: Hands, receiver: Receiver) -> None:
    assert answered(authorize(hands, receiver))["state"] == "state-1"
    denied = answered(authorize(hands, receiver, decision="deny"))
    assert (denied["error"], denied["state"]) == ("access_denied", "state-1")


def test_foreign_addresses_and_clients_get_no_code(hands: Hands, receiver: Receiver) -> None:
    for changes in (
        {"redirect_uri": "https://evil.example/cb"},
        {"client_id": "other"},
        {"response_type": "token"},
    ):
        assert authorize(hands, receiver, **changes).status_code == 400


def test_a_code_needs_its_verifier_and_works_once(hands: Hands, receiver: Receiver) -> None:
    form = {
        "grant_type": "authorization_code",
        "code": answered(authorize(hands, receiver))["code"],
        "redirect_uri": f"{receiver.url}/dashboard/connection/callback",
    }
    wrong = token(hands, **form, code_verifier="wrong")
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    assert token(hands, secret="wrong", **form, code_verifier=VERIFIER).status_code == 401
    assert token(hands, **form, code_verifier=VERIFIER).status_code == 200
    assert token(hands, **form, code_verifier=VERIFIER).json()["error"] == "invalid_grant"


def test_a_refresh_token_works_once(hands: Hands, receiver: Receiver) -> None:
    first = connect(hands, receiver)
    second = token(hands, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert second.status_code == 200
    assert second.json()["refresh_token"] != first["refresh_token"]
    again = token(hands, grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert as_builder(hands, second.json()["access_token"], "/users/me").status_code == 200


def test_tokens_expire_and_are_revoked(hands: Hands, receiver: Receiver) -> None:
    grant = connect(hands, receiver)
    hands.control(f"calendly/oauth/{ADA}/revoke", expire=True)
    expired = as_builder(hands, grant["access_token"], "/users/me")
    assert (expired.status_code, expired.json()["message"]) == (401, "The access token expired")
    fresh = token(hands, grant_type="refresh_token", refresh_token=grant["refresh_token"]).json()
    url = f"{hands.base}/calendly-auth/oauth"
    client = {"client_id": CLIENT[0], "client_secret": CLIENT[1], "token": fresh["access_token"]}
    assert hands.http.post(f"{url}/introspect", data=client, timeout=5).json()["active"] is True
    assert hands.http.post(f"{url}/revoke", data=client, timeout=5).json() == {}
    assert hands.http.post(f"{url}/introspect", data=client, timeout=5).json() == {"active": False}
    assert "revoked" in as_builder(hands, fresh["access_token"], "/users/me").json()["message"]
