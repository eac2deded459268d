"""``make run``: everything starts with one command and stops with one Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from bs4 import BeautifulSoup

from bookingapp.cli.demo import DEMO_EMAIL, DEMO_PASSWORD
from bookingapp.cli.processes import SANDBOX_SECRETS, sandbox_addresses
from bookingapp.core.settings import PROJECT_ROOT
from tests.servers import free_port
from tests.waiting import eventually

from .stack import START_SECONDS, flask_command

FACTS = ("price-minor", "currency", "bookable")
OFFERED = {
    "ada-okonkwo": {
        "ETADACONSULT0030": ("3000", "GBP", "true"),
        "ETADACONSULT0060": ("6000", "GBP", "true"),
        "ETADADEEPDIVE090": ("9000", "GBP", "true"),
        "ETADAGETSTART030": ("0", "GBP", "true"),
    },
    "kenji-mori": {
        "ETKENJICONSUL060": ("9000", "JPY", "true"),
        "ETKENJIREVIEW030": ("5000", "JPY", "true"),
        "ETKENJISTART0015": ("0", "JPY", "true"),
    },
    "maya-lindqvist": {
        "ETMAYAGRPHALF240": ("29900", "GBP", "true"),
        "ETMAYAGRPFULL480": ("49900", "GBP", "true"),
        "ETMAYABACKWORK15": ("0", "GBP", "true"),
        "ETMAYACONSULT060": ("8500", "EUR", "true"),
    },
}


@dataclass(frozen=True)
class Running:
    """A running ``flask dev``, which prints into ``log``."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str
    sandbox_url: str

    def said(self) -> str:
        assert self.process.poll() is None, self.log.read_text()
        return self.log.read_text()


def environment(folder: Path) -> dict[str, str]:
    """No settings (``tests/conftest.py`` has removed those of the shell) but the instance folder."""
    return {**os.environ, "INSTANCE_DIR": str(folder / "instance"), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """Started as by ``make run``, on free ports and with an empty instance folder, and with Ctrl-C switched off, as a
    shell starts what it puts into the background.
    """
    port, sandbox_port = free_port(), free_port()
    log = tmp_path / "dev.log"
    command = flask_command("dev", "--port", str(port), "--sandbox-port", str(sandbox_port))
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command],
            env=environment(tmp_path),
            cwd=PROJECT_ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    url, sandbox_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{sandbox_port}"
    try:
        yield Running(process, log, url, sandbox_url)
    finally:
        left = {process.pid, *descendants(process.pid)} if process.poll() is None else set()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        process.wait(timeout=60)


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command of every process that is not a zombie."""
    listing = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split(None, 3) for line in listing.splitlines())
    return {int(pid): (int(parent), args) for pid, parent, stat, args in rows if not stat.startswith("Z")}


def descendants(root: int) -> dict[int, str]:
    """Every process below ``root``, by its id, with its command."""
    everything = processes()
    children = defaultdict(list)
    for pid, (parent, _) in everything.items():
        children[parent].append(pid)
    found, waiting = {}, [root]
    while waiting:
        for pid in children[waiting.pop()]:
            found[pid] = everything[pid][1]
            waiting.append(pid)
    return found


def is_taken(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def examine(running: Running, folder: Path) -> str:
    """What ``flask doctor`` says of it, once a worker has shown that it is alive."""
    settings = {**sandbox_addresses(running.sandbox_url), **SANDBOX_SECRETS, "PUBLIC_URL": running.url}

    def ask() -> str:
        done = subprocess.run(
            flask_command("doctor"),
            env={**environment(folder), **settings},
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    return eventually(ask, what="a worker", seconds=START_SECONDS, good=lambda text: "no worker" not in text)


def test_one_command_starts_everything_and_one_ctrl_c_ends_it(running: Running, tmp_path: Path) -> None:
    said = eventually(
        running.said, what="the addresses", seconds=START_SECONDS, good=lambda text: "Ctrl-C stops" in text
    )
    for word in ("preparing: database", "preparing: demo data", running.url, running.sandbox_url):
        assert word in said
    assert f"{DEMO_EMAIL} / {DEMO_PASSWORD}" in said
    with requests.Session() as http:
        http.trust_env = False
        assert "Ada Okonkwo" in http.get(running.url, timeout=60).text
        for slug, offered in OFFERED.items():
            address = f"{running.url}/builders/{slug}/session-types"
            cards = BeautifulSoup(http.get(address, timeout=60).text, "html.parser")
            assert {
                card["data-session-type"]: tuple(card[f"data-{name}"] for name in FACTS)
                for card in cards.select("[data-session-type]")
            } == offered
        assert http.get(f"{running.sandbox_url}/control", timeout=60).status_code == 200
        assert http.get(f"{running.url}/readyz", timeout=60).status_code == 200

    assert "\nbad" not in f"\n{examine(running, tmp_path)}"

    family = descendants(running.process.pid)
    for name in (" sandbox ", " serve ", " worker"):
        assert any(name in f"{command} " for command in family.values()), family
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(timeout=60) == 0, running.log.read_text()
    said = running.log.read_text()
    assert "Traceback" not in said
    assert "by itself" not in said
    alive = processes()
    assert {pid: command for pid, command in family.items() if alive.get(pid, (0, ""))[1] == command} == {}
    assert not is_taken(running.url)
    assert not is_taken(running.sandbox_url)


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = subprocess.run(
            flask_command("dev", "--port", str(free_port()), "--sandbox-port", str(port)),
            env=environment(tmp_path),
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
    assert refused.returncode == 1
    assert refused.stderr.strip() == f"Error: port {port} is in use; choose another: SANDBOX_PORT=… make run"
