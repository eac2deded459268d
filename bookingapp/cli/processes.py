"""What ``make run`` is made of: the sandbox, the web application and the worker as processes of one parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

import click
import requests
from pydantic import SecretStr

from bookingapp.cli.demo import DEMO_EMAIL, DEMO_PASSWORD
from bookingapp.core.settings import PROJECT_ROOT, Settings
from bookingapp.sandbox import SandboxConfig

START_SECONDS = 30.0
STOP_SECONDS = 15.0

# What the stand-ins are opened with. These protect nothing, and outside development they are refused.
SANDBOX_SECRETS = {
    "CALENDLY_TOKEN": "sandbox-calendly-token",
    "CALENDLY_WEBHOOK_SIGNING_KEYS": "sandbox-calendly-signing-key",
    "CALENDLY_CLIENT_ID": "sandbox-client",
    "CALENDLY_CLIENT_SECRET": "sandbox-client-secret",
    "STRIPE_SECRET_KEY": "sk_test_sandbox",
    "STRIPE_WEBHOOK_SECRETS": "whsec_sandbox",
}
RETRY_SECONDS = (2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0)


def sandbox_addresses(base_url: str) -> dict[str, str]:
    """The provider addresses of a sandbox, by setting."""
    return {
        "CALENDLY_API_URL": f"{base_url}/calendly-api",
        "CALENDLY_AUTH_URL": f"{base_url}/calendly-auth",
        "CALENDLY_ASSETS_URL": f"{base_url}/calendly-assets",
        "CALENDLY_BOOKING_URL": base_url,
        "STRIPE_API_URL": f"{base_url}/stripe-api",
        "STRIPE_CHECKOUT_URL": f"{base_url}/stripe-checkout",
    }


def sandbox_config(
    settings: Settings, *, base_url: str, app_url: str, state_path: Path, demo: bool
) -> SandboxConfig:
    """The sandbox that fits these settings: it accepts their tokens and signs with their newest keys."""

    def value(secret: SecretStr | None, name: str) -> str:
        return secret.get_secret_value() if secret else SANDBOX_SECRETS[name]

    signing = settings.calendly_webhook_signing_keys
    hooks = settings.stripe_webhook_secrets
    secondary = settings.calendly_token_secondary
    state_path.parent.mkdir(parents=True, exist_ok=True)
    return SandboxConfig(
        base_url=base_url,
        app_url=app_url,
        state_path=str(state_path),
        calendly_token=value(settings.calendly_token, "CALENDLY_TOKEN"),
        calendly_token_secondary=secondary.get_secret_value() if secondary else None,
        calendly_signing_key=value(signing[0] if signing else None, "CALENDLY_WEBHOOK_SIGNING_KEYS"),
        calendly_client_id=settings.calendly_client_id or SANDBOX_SECRETS["CALENDLY_CLIENT_ID"],
        calendly_client_secret=value(settings.calendly_client_secret, "CALENDLY_CLIENT_SECRET"),
        stripe_secret_key=value(settings.stripe_secret_key, "STRIPE_SECRET_KEY"),
        stripe_webhook_secret=value(hooks[0] if hooks else None, "STRIPE_WEBHOOK_SECRETS"),
        auto_subscribe=True,
        seed_demo=demo,
        deliver_retry_seconds=RETRY_SECONDS,
    )


def run_all(settings: Settings, *, port: int, sandbox_port: int) -> int:
    """Start everything, print the addresses, and end everything on Ctrl-C. Returns the exit status."""
    if not settings.is_development:
        raise click.ClickException("this is for development; see the README for a deployment")
    for name, number in (("PORT", port), ("SANDBOX_PORT", sandbox_port)):
        if _is_taken(number):
            raise click.ClickException(f"port {number} is in use; choose another: {name}=… make run")
    web, stand_in = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    environment = {**os.environ, **sandbox_addresses(stand_in), **SANDBOX_SECRETS, "PUBLIC_URL": web}
    children: list[subprocess.Popen[bytes]] = []

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        _run(["db", "upgrade"], environment, "database")
        _run(["demo"], environment, "demo data")
        children.append(_start(["sandbox", "--port", str(sandbox_port), "--app-url", web], environment))
        children.append(_start(["serve", "--port", str(port)], environment))
        _wait_for(f"{stand_in}/healthz", children)
        _wait_for(f"{web}/readyz", children)
        children.append(_start(["worker"], environment))
        click.echo(
            f"\n  The app            {web}\n"
            f"  Builders log in    {web}/login   {DEMO_EMAIL} / {DEMO_PASSWORD}\n"
            f"  Stand-in providers {stand_in}   (Calendly and Stripe; faults: {stand_in}/control)\n"
            f"  A card that pays   4242 4242 4242 4242, any date to come, any CVC\n\n"
            f"  Ctrl-C stops all of it.\n"
        )
        return _watch(children)
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(children)


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]


def _run(arguments: list[str], environment: Mapping[str, str], what: str) -> None:
    click.echo(f"preparing: {what}")
    # A session of its own for each child: Ctrl-C in the terminal reaches the parent alone, which ends them in order.
    done = subprocess.run(
        _command(arguments), env=environment, cwd=PROJECT_ROOT, start_new_session=True, check=False
    )
    if done.returncode:
        raise click.ClickException(f"preparing the {what} failed")


def _start(arguments: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    click.echo(f"starting: {arguments[0]}")
    return subprocess.Popen(_command(arguments), env=environment, cwd=PROJECT_ROOT, start_new_session=True)


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _wait_for(url: str, children: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if any(child.poll() is not None for child in children):
            raise click.ClickException("a process ended while starting; its own words are above")
        try:
            if requests.get(url, timeout=1).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.05)
    raise click.ClickException(f"{url} did not answer within {START_SECONDS:.0f} seconds")


def _watch(children: list[subprocess.Popen[bytes]]) -> int:
    while True:
        for child in children:
            if child.poll() is not None:
                click.echo("a process has ended by itself; stopping the others", err=True)
                return 1
        time.sleep(0.3)


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    for child in reversed(children):
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for child in children:
        try:
            child.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
