"""Runs the sandbox, the web application and the worker as child processes, for ``flask dev`` (``make run``)."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click
import requests

from bookingapp.cli.demo import DEMO_EMAIL, DEMO_OPERATOR, DEMO_PASSWORD, DEMO_SECRET
from bookingapp.core.i18n import gettext
from bookingapp.core.settings import PROJECT_ROOT, Settings, reveal, reveal_all

if TYPE_CHECKING:
    from bookingapp.sandbox import SandboxConfig

START_SECONDS = 120.0
# A request whose body never comes would hold the web server for longer; whatever is killed loses nothing.
STOP_SECONDS = 5.0

# They protect nothing: outside of development they are refused.
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
    """By setting: the provider addresses of the sandbox at ``base_url``."""
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
    """The sandbox's configuration for these settings: it accepts their tokens and signs with their newest keys."""
    from bookingapp.sandbox import SandboxConfig  # noqa: PLC0415 - as in bookingapp.cli.servers

    signing = reveal_all(settings.calendly_webhook_signing_keys[:1])
    hooks = reveal_all(settings.stripe_webhook_secrets[:1])
    default = SANDBOX_SECRETS
    state_path.parent.mkdir(parents=True, exist_ok=True)
    return SandboxConfig(
        base_url=base_url,
        app_url=app_url,
        state_path=str(state_path),
        calendly_token=reveal(settings.calendly_token) or default["CALENDLY_TOKEN"],
        calendly_token_secondary=reveal(settings.calendly_token_secondary),
        calendly_signing_key=signing[0] if signing else default["CALENDLY_WEBHOOK_SIGNING_KEYS"],
        calendly_client_id=settings.calendly_client_id or default["CALENDLY_CLIENT_ID"],
        calendly_client_secret=reveal(settings.calendly_client_secret) or default["CALENDLY_CLIENT_SECRET"],
        stripe_secret_key=reveal(settings.stripe_secret_key) or default["STRIPE_SECRET_KEY"],
        stripe_webhook_secret=hooks[0] if hooks else default["STRIPE_WEBHOOK_SECRETS"],
        auto_subscribe=True,
        seed_demo=demo,
        deliver_retry_seconds=RETRY_SECONDS,
    )


def run_all(settings: Settings, *, port: int, sandbox_port: int) -> int:
    """Start everything, print the addresses, and end everything on Ctrl-C. Returns the exit status."""
    if not settings.is_development:
        raise click.ClickException(gettext("this is for development; README.md says how to deploy"))
    for name, number in (("PORT", port), ("SANDBOX_PORT", sandbox_port)):
        if is_taken("127.0.0.1", number):
            raise click.ClickException(
                gettext(
                    "port %(number)s is in use; choose another: %(name)s=… make run", number=number, name=name
                )
            )
    web, sandbox = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    environment = {**os.environ, **sandbox_addresses(sandbox), **SANDBOX_SECRETS, "PUBLIC_URL": web}
    children: list[subprocess.Popen[bytes]] = []

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # Ctrl-C too: what a shell starts in the background begins with it switched off.
    for end in (signal.SIGTERM, signal.SIGINT):
        signal.signal(end, stop)
    try:
        _run(["db", "upgrade"], environment, gettext("database"))
        _run(["demo"], environment, gettext("demo data"))
        children.append(_start(["sandbox", "--port", str(sandbox_port), "--app-url", web], environment))
        children.append(_start(["serve", "--port", str(port)], environment))
        _wait_for(f"{sandbox}/healthz", children)
        _wait_for(f"{web}/readyz", children)
        children.append(_start(["worker"], environment))
        click.echo(
            gettext(
                """
  The app            %(web)s
  Builders log in    %(web)s/login   %(email)s / %(password)s
  Operators log in   the same page   %(operator)s / %(password)s, then a code: flask --app wsgi demo-code
                     (or put %(secret)s into an authenticator app; the key is public, for this demo alone)
  Stand-in providers %(sandbox)s   (Calendly and Stripe; faults: %(sandbox)s/control)
  A card that pays   4242 4242 4242 4242, any future date, any CVC

  Ctrl-C stops all of it.
""",
                web=web,
                sandbox=sandbox,
                email=DEMO_EMAIL,
                password=DEMO_PASSWORD,
                operator=DEMO_OPERATOR,
                secret=DEMO_SECRET,
            )
        )
        return _watch(children)
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(children)


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "flask", "--app", "wsgi", *arguments]


def _run(arguments: list[str], environment: Mapping[str, str], what: str) -> None:
    """Run the command that prepares ``what`` to its end."""
    click.echo(gettext("preparing: %(what)s", what=what))
    # A session of its own for each child, so that Ctrl-C reaches only the parent, which ends them in order.
    done = subprocess.run(
        _command(arguments), env=environment, cwd=PROJECT_ROOT, start_new_session=True, check=False
    )
    if done.returncode:
        raise click.ClickException(gettext("preparing the %(what)s failed", what=what))


def _start(arguments: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a command that runs until it is stopped."""
    click.echo(gettext("starting: %(command)s", command=arguments[0]))
    return subprocess.Popen(_command(arguments), env=environment, cwd=PROJECT_ROOT, start_new_session=True)


def is_taken(host: str, port: int) -> bool:
    """Whether another process listens there. The web server would share the port with it, old code with new."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _wait_for(url: str, children: list[subprocess.Popen[bytes]]) -> None:
    """Return when ``url`` answers. Raises ``ClickException`` when a child ends first, or it takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if any(child.poll() is not None for child in children):
            raise click.ClickException(gettext("a process ended while starting; its output is above"))
        try:
            if requests.get(url, timeout=1).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.05)
    raise click.ClickException(
        gettext("%(url)s did not answer within %(seconds)d seconds", url=url, seconds=START_SECONDS)
    )


def _watch(children: list[subprocess.Popen[bytes]]) -> int:
    """Return 1 when a child has ended by itself."""
    while all(child.poll() is None for child in children):
        time.sleep(0.3)
    click.echo(gettext("a process has ended by itself; stopping the others"), err=True)
    return 1


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    """Terminate the children, the last started first; kill those that do not end in time."""
    for child in reversed(children):
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for child in children:
        try:
            child.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
