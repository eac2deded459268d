"""``flask serve``, ``worker``, ``sandbox`` and ``dev``: the commands that start processes."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import tempfile
import threading
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext
from granian.constants import Interfaces, Loops
from granian.log import LogLevels
from granian.server import Server

from bookingapp import worker as background
from bookingapp.cli import processes
from bookingapp.cli.errors import this_app
from bookingapp.core import gateway, services
from bookingapp.core.claims import LEASE
from bookingapp.core.clock import TIME_SOURCES
from bookingapp.core.i18n import gettext
from bookingapp.core.settings import Settings, load_settings
from bookingapp.integrations.sessions import is_loopback
from bookingapp.wiring import ask_time

# Half of them may wait for Calendly (wiring.WAITING_PLACES); one interpreter cannot keep more than the others busy.
# More threads would need more database connections (factory.py).
THREADS = 16
PROBES = ("/healthz", "/readyz", "/metrics")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), envvar="PORT")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes.")
def serve(host: str, port: int, workers: int) -> None:
    """The web application, by granian. On the internet it needs a reverse proxy in front of it, for https."""
    settings = load_settings()
    if not settings.names_environment and not is_loopback(f"//[{host}]" if ":" in host else f"//{host}"):
        raise click.ClickException(
            gettext("APP_ENV is missing: name development, staging or production to be reached from outside")
        )
    if processes.is_taken(host, port):
        raise click.ClickException(gettext("port %(number)s is in use", number=port))
    # A forked process has what this one has loaded at once, and shares its memory. What is frozen is never searched
    # for garbage, which would write to it and so copy it. Only on Linux are all libraries safe to fork.
    multiprocessing.set_start_method("fork" if sys.platform == "linux" else "spawn")
    gc.freeze()
    with tempfile.TemporaryDirectory(prefix="bookingapp-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        Server(
            "wsgi:app",
            address=host,
            port=port,
            interface=Interfaces.RSGI,
            # uvloop's where it is installed, which is not on Windows.
            loop=Loops.auto,
            websockets=False,
            workers=workers,
            log_level=LogLevels.error,
            workers_kill_timeout=20,
            # Otherwise one killed process ends them all. A process that dies again at once still ends the server.
            respawn_failed_workers=True,
        ).serve(target_loader=partial(_load, settings))


def _load(settings: Settings, target: str) -> Any:
    """The application in a process that serves it. A hold is as long as the clock says that it is, so the clock is
    compared before anybody books.
    """
    keeping = (partial(ask_time, settings), threading.Event())
    threading.Thread(target=TIME_SOURCES.keep_right, args=keeping, name="time", daemon=True).start()
    return gateway.load(target, threads=THREADS, apart=PROBES)


@click.command()
@click.option(
    "--threads",
    default=background.THREADS,
    show_default=True,
    type=click.IntRange(1, 32),
    help="For deliveries, and as many again for jobs.",
)
@click.option(
    "--lease",
    default=int(LEASE.total_seconds()),
    show_default=True,
    type=click.IntRange(5, 3600),
    help="Seconds after which another worker claims the rows of one that died.",
)
@with_appcontext
def worker(threads: int, lease: int) -> None:
    """The background worker, in the foreground: applies deliveries and runs jobs."""
    background.Worker(this_app(), threads, timedelta(seconds=lease)).run()


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8001, show_default=True, type=click.IntRange(1, 65535))
@click.option("--app-url", default="http://127.0.0.1:8000", show_default=True, help="Where webhooks go.")
@click.option(
    "--public-url", default=None, help="The sandbox's own address, where it is not http://HOST:PORT."
)
@click.option(
    "--state", "state_path", default=None, type=click.Path(path_type=Path), help="Its database file."
)
@click.option("--demo/--no-demo", default=True, show_default=True, help="Begin with the demo builders.")
@with_appcontext
def sandbox(
    host: str, port: int, app_url: str, public_url: str | None, state_path: Path | None, demo: bool
) -> None:
    """Stand-in Calendly and Stripe, over real HTTP."""
    # Web processes have all commands; they start sooner, and are smaller, without what only this one needs.
    from bookingapp.sandbox import serve_sandbox  # noqa: PLC0415

    settings = services.get(Settings)
    config = processes.sandbox_config(
        settings,
        base_url=public_url or f"http://{host}:{port}",
        app_url=app_url,
        state_path=state_path or settings.instance_dir / "sandbox.sqlite3",
        demo=demo,
    )
    click.echo(gettext("sandbox: %(url)s (webhooks go to %(app)s)", url=config.base_url, app=app_url))
    serve_sandbox(config, host, port)


@click.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535), envvar="PORT")
@click.option(
    "--sandbox-port", default=8001, show_default=True, type=click.IntRange(1, 65535), envvar="SANDBOX_PORT"
)
@with_appcontext
def dev(port: int, sandbox_port: int) -> None:
    """Database, demo data, sandbox, web application and worker on this machine, until Ctrl-C."""
    raise SystemExit(processes.run_all(services.get(Settings), port=port, sandbox_port=sandbox_port))
