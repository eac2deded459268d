"""The import contracts, and what they rest on."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from bookingapp.core.settings import PROJECT_ROOT

CONTRACTS = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def test_the_contracts_hold(tmp_path: Path) -> None:
    """All of them."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CONTRACTS)} kept, 0 broken" in done.stdout


def test_the_ranks_name_every_package() -> None:
    """A package outside of them could import anything."""
    layers = next(one for one in CONTRACTS if one["type"] == "layers" and one["containers"] == ["bookingapp"])
    named = {name.strip() for line in layers["layers"] for name in line.split("|")}
    folders = {path.parent.name for path in (PROJECT_ROOT / "bookingapp").glob("*/__init__.py")}
    modules = {path.stem for path in (PROJECT_ROOT / "bookingapp").glob("*.py")} - {"__init__"}
    assert named | {"sandbox"} == folders | modules


def test_importing_touches_nothing() -> None:
    """No module makes an application, a connection or a thread when it is imported. What answers pages loads neither
    Alembic nor, for SQLite, PostgreSQL's driver, which take a tenth of the time to start and of the memory.
    """
    script = (
        "import pkgutil, socket, sys, threading\n"
        "socket.socket.connect = None\n"
        "import bookingapp.factory, bookingapp.worker, bookingapp.cli\n"
        "bookingapp.factory._import_jobs()\n"
        "assert not {'alembic', 'psycopg'} & sys.modules.keys()\n"
        "for module in pkgutil.iter_modules(bookingapp.cli.__path__):\n"
        "    pkgutil.resolve_name(f'bookingapp.cli.{module.name}')\n"
        "from flask import current_app\n"
        "assert not current_app\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
