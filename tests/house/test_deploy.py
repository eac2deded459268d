"""``deploy/`` names settings, units, commands, paths and metrics that exist, and nginx and systemd take its files."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import bookingapp.dashboard.views.profile  # noqa: F401 - says which path takes uploads.
from bookingapp.core import bodies
from bookingapp.core.queue import WorkState
from bookingapp.core.settings import PROJECT_ROOT, Settings
from bookingapp.webhooks import counters
from tests import nginx
from tests.house.commands import all_commands, fault, words
from tests.house.test_documents import anchors
from tests.house.test_metrics_page import documented
from tests.servers import missing

DEPLOY = PROJECT_ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
PAGES = [PROJECT_ROOT / "docs" / name for name in ("deploy.md", "operations.md")]
SITE = nginx.SITE.read_text()
# granian's time limit for an idle connection.
IDLE_SECONDS = 30
PICTURE = "/dashboard/profile/picture"
VALUES = {"state": {*WorkState}, "reason": {*counters.REASONS}}
UNIT = re.compile(r"bookingapp-(?:web@|worker@|backup\.timer)")
NAMES = {name.upper() for name in Settings.model_fields}


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(PROJECT_ROOT).as_posix() for path in paths]


def read_compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def test_settings_exist() -> None:
    given = re.findall(r"^([A-Z_]+)=", (DEPLOY / "settings.env").read_text(), re.MULTILINE)
    assert {"APP_ENV", "PUBLIC_URL", "SECRET_KEY", "MAIL_URL", "TRUSTED_PROXIES"} <= set(given) <= NAMES
    in_units = {
        one for path in UNITS for one in re.findall(r"^Environment=(\w+)=", path.read_text(), re.MULTILINE)
    }
    assert in_units == {"INSTANCE_DIR"}
    assert set(read_compose()["x-app"]["environment"]) <= NAMES


def test_every_required_setting_is_in_the_template() -> None:
    """What a start without any setting complains about."""
    code = "from bookingapp.core.settings import load_settings; load_settings(app_env='production')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env={})
    wanted = set(re.findall(r"\b([A-Z]+(?:_[A-Z]+)+)\b", done.stderr.splitlines()[-1])) & NAMES
    assert len(wanted) > 5
    given = re.findall(r"^([A-Z_]+)=", (DEPLOY / "settings.env").read_text(), re.MULTILINE)
    assert wanted <= set(given)


@pytest.mark.parametrize("path", [*FILES, *PAGES], ids=names([*FILES, *PAGES]))
def test_units_and_paths_exist(path: Path) -> None:
    text = path.read_text()
    units = {unit.name.removesuffix(".service").partition("@")[0] for unit in UNITS}
    for name in re.findall(r"\bbookingapp-(?:web|worker|migrate|backup)[a-z-]*(?:\.timer)?", text):
        assert name in units or (DEPLOY / "systemd" / name).exists(), name
    for inside in re.findall(r"/opt/bookingapp/([\w./-]+)", text):
        assert inside.startswith(".venv/bin/") or (PROJECT_ROOT / inside.rstrip(".")).exists(), inside


def commands_of_files() -> Iterator[tuple[str, list[str]]]:
    """By file: each command of ours that it starts."""
    for path in UNITS:
        for line in re.findall(r"^ExecStart=\S+/flask --app wsgi (.+)$", path.read_text(), re.MULTILINE):
            yield path.name, words(line)
    compose = read_compose()
    lists = [service["command"] for service in compose["services"].values() if "command" in service]
    lists.append(json.loads(re.findall(r"^CMD (.+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)[0]))
    yield from (("containers", line[3:]) for line in lists if line[:3] == ["flask", "--app", "wsgi"])


def test_commands_exist() -> None:
    commands = all_commands()
    found = list(commands_of_files())
    assert {given[0] for _, given in found} == {"serve", "worker", "db"}
    assert [words for _, given in found if (words := fault(given, commands))] == []


def test_what_a_restore_stops_is_started_again() -> None:
    """By names: systemd starts nothing by a pattern, which matches only units that run."""
    text = PAGES[0].read_text()
    way_back = text.partition("### The way back")[2].partition("\n## ")[0]
    stopped, started = (
        {
            name
            for line in re.findall(rf"^ *systemctl {verb} (.*)", way_back, re.MULTILINE)
            for name in UNIT.findall(line)
        }
        for verb in ("stop", "start")
    )
    assert {"bookingapp-web@", "bookingapp-worker@", "bookingapp-backup.timer"} == stopped == started
    for page in PAGES:
        assert re.findall(r"systemctl start [^#`\n]*\*", page.read_text()) == []


@pytest.mark.parametrize(
    ("url", "shown", "password"),
    [
        (
            "postgresql://us:p%40-tests@h:5432/d?sslmode=require",
            "postgresql://us@h:5432/d?sslmode=require",
            "p@-tests",
        ),
        ("postgresql+psycopg://us@h/d", "postgresql://us@h/d", ""),
        ("postgresql:///bookingapp", "postgresql:///bookingapp", ""),
    ],
)
def test_a_backup_shows_no_password(tmp_path: Path, url: str, shown: str, password: str) -> None:
    """Everybody on a machine sees the command lines of all processes."""
    program = tmp_path / "pg_dump"
    program.write_text(
        '#!/bin/sh\necho "$*" > "$HERE/arguments"\nprintf %s "$PGPASSWORD" > "$HERE/password"\n'
        'for one; do case $one in --file=*) : > "${one#--file=}";; esac; done\n'
    )
    program.chmod(0o700)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "DATABASE_URL": url, "HERE": str(tmp_path)}
    subprocess.run([DEPLOY / "backup.sh", tmp_path], env=environ, check=True)
    assert f"--dbname={shown} " in (tmp_path / "arguments").read_text()
    assert (tmp_path / "password").read_text() == password
    assert len(list(tmp_path.glob("bookingapp-*.dump"))) == 1


def test_nginx_fits_what_serve_takes() -> None:
    """Its limits are ours: another one would answer what the application has a page for, or let through too much."""
    whole, picture = SITE.split(f"location = {PICTURE}")
    assert bodies.largest_upload(PICTURE) is not None
    limits = re.findall(r"client_max_body_size (\d+)([km]);", whole)
    assert [int(number) * 1024 for number, _ in limits] == [bodies.LARGEST_BODY]
    (megabytes,) = re.findall(r"client_max_body_size (\d+)m;", picture)
    assert (bodies.largest_upload(PICTURE) or 0) <= int(megabytes) * 1024**2
    assert f"client_body_timeout {bodies.LONGEST_SECONDS:.0f}s;" in whole
    assert f"client_body_timeout {bodies.LONGEST_UPLOAD_SECONDS:.0f}s;" in picture
    assert f"limit_conn bookingapp_addresses {bodies.PLACES_OF_ONE};" in whole
    assert f"limit_conn bookingapp_addresses {bodies.UPLOADS};" in picture
    (idle,) = re.findall(r"keepalive_timeout (\d+)s;", SITE)
    assert int(idle) < IDLE_SECONDS


def test_webhooks_are_passed_on_as_they_are() -> None:
    """No answer of nginx's own may be 410, on which Calendly deletes its subscription, or a redirect."""
    assert "410" not in re.sub(r"#.*", "", SITE)
    plain, passed = re.findall(r"location /webhooks/ \{(.*?)\}", SITE, re.DOTALL)
    assert plain.split() == ["return", "403;"]
    assert "return" not in passed
    assert "limit" not in passed
    assert "proxy_pass http://bookingapp;" in passed


def test_nginx_takes_the_site(tmp_path: Path) -> None:
    said = nginx.check(nginx.plan_proxy(tmp_path))
    assert "[warn]" not in said
    assert "successful" in said


def test_certificates_renew_through_the_site() -> None:
    """certbot uses the folder of the first time again, when our site has replaced nginx's own."""
    (folder,) = re.findall(r"certbot certonly --webroot -w (\S+)", PAGES[0].read_text())
    (root,) = re.findall(r"location /\.well-known/acme-challenge/ \{\s*root (\S+);", SITE)
    assert root == folder


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        missing("no systemd-analyze on this machine")
    for path in UNITS:
        text = path.read_text().replace("/opt/bookingapp/.venv/bin/flask", sys.executable)
        text = text.replace("/opt/bookingapp/deploy/backup.sh", str(DEPLOY / "backup.sh"))
        (tmp_path / path.name).write_text(text)
    units = [str(tmp_path / path.name) for path in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if "bookingapp" in line] == []
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "unit", [path for path in UNITS if path.suffix == ".service"], ids=lambda path: path.name
)
def test_units_expose_little(unit: Path) -> None:
    """By systemd's own measure, from 0 to 10: two allow what each of them needs."""
    if shutil.which("systemd-analyze") is None:
        missing("no systemd-analyze on this machine")
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_ask_for_metrics_and_runbooks_that_there_are() -> None:
    (group,) = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]:
        check_query(rule["expr"])
        page, _, section = rule["annotations"]["runbook"].partition("#")
        assert section in anchors(PROJECT_ROOT / page)
        assert f"`{rule['alert']}`" in (PROJECT_ROOT / page).read_text()
    runbooks = (PROJECT_ROOT / "docs" / "operations.md").read_text()
    alerts = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]*)+)`", runbooks)) - {"MemoryMax"}
    assert alerts == {rule["alert"] for rule in group["rules"]}
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert [one["job_name"] for one in scraped] == ["bookingapp"]


def test_the_dashboard_shows_metrics_that_there_are() -> None:
    board = json.loads((DEPLOY / "grafana" / "bookingapp.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(queries) > len(board["panels"])
    for query in queries:
        check_query(query)


def check_query(query: str) -> None:
    metrics = documented()
    for name, labels in re.findall(r"bookingapp_([a-z_]+)(?:\{([^}]*)\})?", query):
        assert name in metrics, query
        for label, values in re.findall(r'(\w+)=~?"([^"]+)"', labels):
            assert label in metrics[name], query
            assert set(values.split("|")) <= VALUES[label], query
    for labels in re.findall(r"by \(([^)]*)\)", query):
        assert set(re.split(r", *", labels)) <= set().union(*metrics.values()), query


def test_the_image_takes_what_it_needs() -> None:
    """What is copied exists, and is not kept out."""
    text = (DEPLOY / "Dockerfile").read_text()
    copied = {line.split()[0] for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)}
    let_in = {
        line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().split() if line.startswith("!")
    }
    assert copied == let_in
    assert all((PROJECT_ROOT / name).exists() for name in copied)
    version = re.findall(r"^FROM python:([\d.]+)-slim", text, re.MULTILINE)
    assert len(set(version)) == 1
    assert "--require-hashes" in text
    assert text.index("USER 10001") < text.index("CMD ")
