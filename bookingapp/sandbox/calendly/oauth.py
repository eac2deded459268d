"""Calendly's OAuth server: the consent page and the token endpoints."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, jsonify, redirect, render_template, request
from werkzeug.wrappers import Response

from bookingapp.sandbox.calendly.objects import PLATFORM_USER_ID, copied, organization_uri, uri
from bookingapp.sandbox.clock import new_token
from bookingapp.sandbox.context import Sandbox, current_sandbox
from bookingapp.sandbox.store import Document

blueprint = Blueprint("calendly_oauth", __name__, url_prefix="/calendly-auth/oauth")

# Calendly docs, How to access Calendly data on behalf of authenticated users, and Get access token.
CODE_SECONDS = 10 * 60
ACCESS_SECONDS = 7200


class OAuthError(Exception):
    """A refusal as ``{error, error_description}`` (Calendly OAuth reference, Revoke access token)."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.status = status
        self.body = {"error": error, "error_description": description}


@blueprint.errorhandler(OAuthError)
def _render_error(error: OAuthError) -> tuple[Any, int]:
    return jsonify(error.body), error.status


@blueprint.before_request
def _check_authorization() -> tuple[str, int] | None:
    problem = _authorization_problem() if "/authorize" in request.path else None
    if problem is None:
        return None
    return render_template("problem.html", title="This connection cannot be made", text=problem), 400


@blueprint.get("/authorize")
def show_consent() -> str:
    """The page on which a person allows or denies access (Calendly OAuth reference, Get authorization code)."""
    sandbox = current_sandbox()
    builders = [user for user in sandbox.store.all("user") if user["id"] != PLATFORM_USER_ID]
    return render_template(
        "calendly/consent.html",
        builders=builders,
        scopes=request.args.get("scope", "").split(),
        app_host=urlsplit(sandbox.config.app_url).netloc,
    )


@blueprint.post("/authorize")
def answer_consent() -> Response:
    """Redirect to the app with a code, or with the denial."""
    sandbox = current_sandbox()
    state = {"state": request.args["state"]} if "state" in request.args else {}
    user = sandbox.store.get("user", request.form.get("user", ""))
    if request.form.get("decision") != "allow" or user is None:
        denied = {"error": "access_denied", "error_description": "The resource owner denied the request."}
        return redirect(_with_query(request.args["redirect_uri"], {**denied, **state}), 303)
    code = new_token(43)
    sandbox.store.put(
        "oauth_code",
        code,
        {
            "id": code,
            "user": user["id"],
            "scope": request.args.get("scope", ""),
            "redirect_uri": request.args["redirect_uri"],
            "code_challenge": request.args.get("code_challenge"),
            "expires_at": time.time() + CODE_SECONDS,
        },
    )
    return redirect(_with_query(request.args["redirect_uri"], {"code": code, **state}), 303)


def _authorization_problem() -> str | None:
    args, config = request.args, current_sandbox().config
    if args.get("client_id") != config.calendly_client_id:
        return "We do not know the app that sent you here (client_id)."
    if args.get("response_type") != "code":
        return "The app asked for a kind of answer that we do not offer (response_type)."
    wanted, registered = urlsplit(args.get("redirect_uri", "")), urlsplit(config.app_url)
    if (wanted.scheme, wanted.netloc) != (registered.scheme, registered.netloc):
        return "The app's return address is not registered (redirect_uri)."
    if args.get("code_challenge") and args.get("code_challenge_method") != "S256":
        return "The app asked for a challenge method that we do not offer (code_challenge_method)."
    return None


def _with_query(address: str, query: dict[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


@blueprint.post("/token")
def issue_tokens() -> Any:
    """A new pair of tokens for a code or a refresh token, each of which works once (Calendly docs, Refresh token)."""
    sandbox = current_sandbox()
    _check_client(sandbox)
    kind = request.form.get("grant_type")
    with sandbox.store.transaction():
        if kind == "authorization_code":
            grant = _redeem_code(sandbox)
        elif kind == "refresh_token":
            grant = _redeem_refresh_token(sandbox)
        else:
            message = "The authorization grant type is not supported by the authorization server."
            raise OAuthError("unsupported_grant_type", message)
        now = int(time.time())
        shared = {
            **copied(grant, "user scope"),
            "revoked": False,
            "family": grant.get("family") or new_token(16),
            "created_at": now,
        }
        access = {**shared, "id": new_token(64), "type": "access", "expires_at": now + ACCESS_SECONDS}
        refresh = {**shared, "id": new_token(43), "type": "refresh", "expires_at": None}
        for row in (access, refresh):
            sandbox.store.put("oauth_token", row["id"], row)
    response = jsonify(
        {
            "token_type": "Bearer",
            "access_token": access["id"],
            "refresh_token": refresh["id"],
            "scope": grant["scope"],
            "created_at": now,
            "expires_in": ACCESS_SECONDS,
            "owner": uri(sandbox, "users", grant["user"]),
            "organization": organization_uri(sandbox),
        }
    )
    response.headers["Cache-Control"] = "no-store"
    return response


def _invalid_grant() -> OAuthError:
    message = (
        "The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in "
        "the authorization request, or was issued to another client."
    )
    return OAuthError("invalid_grant", message)


def _redeem_code(sandbox: Sandbox) -> Document:
    code = request.form.get("code", "")
    grant = sandbox.store.get("oauth_code", code)
    if (
        grant is None
        or grant["expires_at"] <= time.time()
        or grant["redirect_uri"] != request.form.get("redirect_uri")
    ):
        raise _invalid_grant()
    if grant["code_challenge"]:
        digest = hashlib.sha256(request.form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != grant["code_challenge"]:
            raise _invalid_grant()
    sandbox.store.delete("oauth_code", code)
    return grant


def _redeem_refresh_token(sandbox: Sandbox) -> Document:
    grant = sandbox.store.get("oauth_token", request.form.get("refresh_token", ""))
    if grant is None or grant["type"] != "refresh" or grant["revoked"]:
        raise _invalid_grant()
    sandbox.store.put("oauth_token", grant["id"], {**grant, "revoked": True})
    return grant


@blueprint.post("/revoke")
def revoke_token() -> Any:
    """Revoke an access token, or with a refresh token all of its consent (Calendly OAuth reference, Revoke token)."""
    sandbox = current_sandbox()
    _check_client(sandbox, status=403)
    with sandbox.store.transaction():
        grant = sandbox.store.get("oauth_token", request.form.get("token", ""))
        related = [grant] if grant else []
        if grant and grant["type"] == "refresh":
            related = sandbox.store.all("oauth_token", family=grant["family"])
        for row in related:
            sandbox.store.put("oauth_token", row["id"], {**row, "revoked": True})
    return jsonify({})


@blueprint.post("/introspect")
def introspect_token() -> Any:
    """Whether a token is valid, with its scope and owner (Calendly OAuth reference, Introspect token)."""
    sandbox = current_sandbox()
    _check_client(sandbox, status=403)
    grant = sandbox.store.get("oauth_token", request.form.get("token", ""))
    if grant is None or grant["revoked"] or (grant["expires_at"] or time.time() + 1) <= time.time():
        return jsonify({"active": False})
    return jsonify(
        {
            "active": True,
            "scope": grant["scope"],
            "client_id": sandbox.config.calendly_client_id,
            "token_type": "Bearer",
            "exp": grant["expires_at"],
            "iat": grant["created_at"],
            "owner": uri(sandbox, "users", grant["user"]),
            "organization": organization_uri(sandbox),
        }
    )


def _check_client(sandbox: Sandbox, status: int = 401) -> None:
    given = request.form.get("client_id", ""), request.form.get("client_secret", "")
    authorization = request.authorization
    if authorization is not None and authorization.type == "basic":
        given = authorization.username or "", authorization.password or ""
    known = sandbox.config.calendly_client_id, sandbox.config.calendly_client_secret
    if not hmac.compare_digest("\0".join(given).encode(), "\0".join(known).encode()):
        message = "Client authentication failed: an unknown client, no authentication, or a wrong secret."
        raise OAuthError("invalid_client", message, status)
