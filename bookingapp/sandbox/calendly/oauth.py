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

from bookingapp.sandbox.calendly.objects import organization_uri, uri
from bookingapp.sandbox.clock import new_token
from bookingapp.sandbox.context import Sandbox, current_sandbox
from bookingapp.sandbox.seed import PLATFORM_USER_ID
from bookingapp.sandbox.store import Document

blueprint = Blueprint("calendly_oauth", __name__, url_prefix="/calendly-auth/oauth")

CODE_SECONDS = 10 * 60
ACCESS_SECONDS = 7200


class OAuthError(Exception):
    """An answer of ``{error, error_description}``."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.status = status
        self.body = {"error": error, "error_description": description}


@blueprint.errorhandler(OAuthError)
def _explain(error: OAuthError) -> tuple[Any, int]:
    return jsonify(error.body), error.status


@blueprint.get("/authorize")
def authorize() -> str | tuple[str, int]:
    """Ask a person whose account the app may use."""
    sandbox = current_sandbox()
    if problem := _authorization_problem(sandbox):
        return render_template("problem.html", title="This connection cannot be made", text=problem), 400
    builders = [user for user in sandbox.store.all("user") if user["id"] != PLATFORM_USER_ID]
    return render_template(
        "calendly/consent.html",
        builders=builders,
        scopes=request.args.get("scope", "").split(),
        app_host=urlsplit(sandbox.config.app_url).netloc,
    )


@blueprint.post("/authorize")
def decide() -> Response | tuple[str, int]:
    """The person's answer, carried back to the app."""
    sandbox = current_sandbox()
    if problem := _authorization_problem(sandbox):
        return render_template("problem.html", title="This connection cannot be made", text=problem), 400
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


def _authorization_problem(sandbox: Sandbox) -> str | None:
    args = request.args
    if args.get("client_id") != sandbox.config.calendly_client_id:
        return "The app that sent you here is not known (client_id)."
    if args.get("response_type") != "code":
        return "The app asked for an answer that is not offered (response_type)."
    wanted, registered = urlsplit(args.get("redirect_uri", "")), urlsplit(sandbox.config.app_url)
    if (wanted.scheme, wanted.netloc) != (registered.scheme, registered.netloc):
        return "The app asked to be answered at an address that is not registered (redirect_uri)."
    if args.get("code_challenge") and args.get("code_challenge_method") != "S256":
        return "The app asked for a challenge method that is not offered (code_challenge_method)."
    return None


def _with_query(address: str, query: dict[str, str]) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"


@blueprint.post("/token")
def token() -> Any:
    """A code or a refresh token for a new pair; a refresh token works once."""
    sandbox = current_sandbox()
    _check_client(sandbox, *_given_client())
    kind = request.form.get("grant_type")
    with sandbox.store.transaction():
        if kind == "authorization_code":
            grant = _redeem_code(sandbox)
        elif kind == "refresh_token":
            grant = _redeem_refresh_token(sandbox)
        else:
            message = "The authorization grant type is not supported by the authorization server."
            raise OAuthError("unsupported_grant_type", message)
        access, refresh, now = new_token(64), new_token(43), int(time.time())
        family = grant.get("family") or new_token(16)
        shared = {
            "user": grant["user"],
            "scope": grant["scope"],
            "revoked": False,
            "family": family,
            "created_at": now,
        }
        expiry = now + ACCESS_SECONDS
        sandbox.store.put(
            "oauth_token", access, {**shared, "id": access, "type": "access", "expires_at": expiry}
        )
        sandbox.store.put(
            "oauth_token", refresh, {**shared, "id": refresh, "type": "refresh", "expires_at": None}
        )
    response = jsonify(
        {
            "token_type": "Bearer",
            "access_token": access,
            "refresh_token": refresh,
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
def revoke() -> Any:
    """Make a token worthless; with a refresh token go all that came of the same consent."""
    sandbox = current_sandbox()
    _check_client(sandbox, *_given_client(), status=403)
    with sandbox.store.transaction():
        grant = sandbox.store.get("oauth_token", request.form.get("token", ""))
        if grant is not None:
            revoke_family(sandbox, grant["family"] if grant["type"] == "refresh" else None, grant)
    return jsonify({})


def revoke_family(sandbox: Sandbox, family: str | None, grant: Document) -> None:
    """Revoke one token, or everything that came of its consent."""
    related = [grant] if family is None else sandbox.store.all("oauth_token", family=family)
    for each in related:
        sandbox.store.put("oauth_token", each["id"], {**each, "revoked": True})


@blueprint.post("/introspect")
def introspect() -> Any:
    """What a token is good for."""
    sandbox = current_sandbox()
    _check_client(sandbox, *_given_client(), status=403)
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


def _given_client() -> tuple[str, str]:
    authorization = request.authorization
    if authorization is not None and authorization.type == "basic":
        return authorization.username or "", authorization.password or ""
    return request.form.get("client_id", ""), request.form.get("client_secret", "")


def _check_client(sandbox: Sandbox, client_id: str, secret: str, status: int = 401) -> None:
    right = hmac.compare_digest(client_id.encode(), sandbox.config.calendly_client_id.encode())
    right &= hmac.compare_digest(secret.encode(), sandbox.config.calendly_client_secret.encode())
    if not right:
        message = "Client authentication failed: an unknown client, no authentication, or a wrong secret."
        raise OAuthError("invalid_client", message, status)
