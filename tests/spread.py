"""Which process of pytest-xdist runs which tests, and in which order."""

from __future__ import annotations

from xdist.scheduler.loadscope import LoadScopeScheduling

# What begins first, since it takes longest: what waits for processes and browsers most of the time, then what
# computes. What has a name shares a running installation, and is left to one process: starting another installation
# takes ten seconds of a processor. Everything else is spread by file.
UNITS = {
    "endurance/test_sqlite.py": "two of everything on SQLite",
    "endurance/test_slow_senders.py": "two of everything on SQLite",
    "e2e": "an installation and a browser",
    "endurance/test_postgresql.py": None,
    "simulation": None,
    "e2e/test_make_run.py": None,
    "e2e/test_behind_nginx.py": None,
    "endurance": None,
    "web/test_every_route.py": None,
    "connections/test_renewal.py": None,
    "life": None,
    "money": None,
}
_ORDER = list(UNITS)


def rank(nodeid: str) -> int:
    """The place of a test in that order; those of one rank stay shuffled."""
    name = _name(_file(nodeid))
    return _ORDER.index(name) if name else len(_ORDER)


def unit(nodeid: str) -> str:
    """The name of what one process runs from beginning to end."""
    name = _name(_file(nodeid))
    return (name and UNITS[name]) or _file(nodeid)


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0].removeprefix("tests/")


def _name(file: str) -> str | None:
    """The longest of the names that the file is, or is below."""
    return max((name for name in UNITS if f"{file}/".startswith(f"{name}/")), key=len, default=None)


class ByUnit(LoadScopeScheduling):
    """Gives each process a unit, and another one when it is nearly through."""

    def _split_scope(self, nodeid: str) -> str:
        return unit(nodeid)
