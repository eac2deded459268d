"""The rules of CONTRIBUTING.md that import contracts and ruff cannot check, and that its table names real checks."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa
from jinja2 import Environment, nodes

from bookingapp.core import services
from bookingapp.core.db import Base, TransactionOpen, UTCDateTime, db, transaction
from bookingapp.core.settings import PROJECT_ROOT
from bookingapp.integrations.calendly import CalendlyClient, OAuthClient
from bookingapp.integrations.stripe_gateway import StripeGateway
from tests.conftest import close, make_app, make_settings

PACKAGE = PROJECT_ROOT / "bookingapp"
TEMPLATES = PACKAGE / "templates"
# They call providers between their transactions, or are what opens one.
FLOWS = (
    "checkout",
    "cli",
    "connections",
    "core",
    "onboarding/tasks.py",
    "operations/doctor.py",
    "privacy",
    "sync",
    "webhooks",
    "accounts/tasks.py",
    "notifications/account_jobs.py",
)
Nodes = list[ast.AST]


@cache
def modules(top: str) -> dict[str, Nodes]:
    """Every node of each module below a folder, by its path from there."""
    folder = PROJECT_ROOT / top
    return {
        path.relative_to(folder).as_posix(): list(ast.walk(ast.parse(path.read_text())))
        for path in sorted(folder.rglob("*.py"))
        if "sandbox" not in path.parts or top == "tests"
    }


def calls(nodes: Iterable[ast.AST], *names: str) -> Iterator[ast.Call]:
    """The calls of functions and methods of these names."""
    for node in nodes:
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in names:
            yield node


def imports(nodes: Nodes) -> Iterator[str]:
    """The dotted names that a module imports."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def places(find: Callable[[Nodes], Iterable[ast.AST]], top: str = "bookingapp") -> list[str]:
    """``module:line`` of everything that ``find`` finds."""
    return [
        f"{name}:{getattr(node, 'lineno', 0)}" for name, all_ in modules(top).items() for node in find(all_)
    ]


def files(found: Iterable[str]) -> set[str]:
    """The modules of these places."""
    return {place.partition(":")[0] for place in found}


def is_edge(name: str) -> bool:
    """Whether a module is a view, a guard of views, a command, or starts the application."""
    if name.startswith("cli/") or name.endswith("/guard.py") or "/views/" in name or "/" not in name:
        return True
    return any(calls(modules("bookingapp")[name], "Blueprint"))


def test_transition_is_the_only_writer_of_a_status() -> None:
    """No other module sets one, in a row or in an update, or makes a booking."""

    def writers(nodes: Nodes) -> Iterator[ast.AST]:
        for node in nodes:
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            for one in targets:
                if (
                    isinstance(one, ast.Attribute)
                    and one.attr == "status"
                    and ast.unparse(one) != "self.status"
                ):
                    yield node
        for call in calls(nodes, "values", "Booking"):
            if any(given.arg == "status" for given in call.keywords):
                yield call

    found = places(writers)
    assert files(found) == {"bookings/service.py"}
    assert len(found) == 2, found


def test_services_open_no_transaction() -> None:
    """Views and commands do, around one call of a service, and the flows that call providers in between."""
    opening = files(places(lambda nodes: calls(nodes, "transaction", "rolled_back", "commit")))
    assert {name for name in opening if not is_edge(name) and not name.startswith(FLOWS)} == set()
    assert {name for name in opening if name.endswith(("/service.py", "/models.py", "/states.py"))} == set()


def test_collaborators_are_arguments() -> None:
    """Only views, commands and the start of the application find them by class. A column needs its keys, a link the
    address of this site.
    """
    looking = [
        name for name, nodes in modules("bookingapp").items() if "bookingapp.core.services" in imports(nodes)
    ]
    assert {name for name in looking if not is_edge(name)} == {"core/addresses.py", "core/encryption.py"}


def test_views_query_nothing() -> None:
    """They call services, and may know the errors of the database."""
    found = {
        name
        for name, nodes in modules("bookingapp").items()
        if "/" in name and not name.startswith("cli/") and is_edge(name)
        if any(one.startswith("sqlalchemy") and ".exc." not in one for one in imports(nodes))
    }
    # A page whose one query nothing else needs.
    assert found <= {"checkout/my_bookings.py"}


def test_one_function_asks_for_the_time() -> None:
    """The clients of providers may not import core, and ask the machine themselves."""

    def asks(nodes: Nodes) -> Iterator[ast.AST]:
        for node in nodes:
            is_named = isinstance(node, ast.Attribute) and node.attr in ("now", "today", "time", "utcnow")
            if is_named and getattr(getattr(node, "value", None), "id", "") in ("datetime", "date", "time"):
                yield node

    asking = {name for name in files(places(asks)) if not name.startswith("integrations/")}
    assert asking == {"core/time_sources.py"}


def test_no_provider_is_called_inside_a_transaction(tmp_path: Path, database_url: str) -> None:
    """The application's own clients refuse it before they send anything."""
    oauth_app = {"calendly_client_id": "app", "calendly_client_secret": "secret"}
    app = make_app(make_settings(tmp_path, database_url=database_url, **oauth_app))
    with app.app_context(), transaction(db.session()) as session:
        session.connection()
        calendly = services.get(CalendlyClient)
        for call in (
            lambda: calendly.current_user("platform"),
            lambda: calendly.patient().current_user("platform"),
            lambda: services.get(OAuthClient).refresh("a refresh token"),
            lambda: services.get(StripeGateway).retrieve_checkout_session("cs_test_1"),
        ):
            with pytest.raises(TransactionOpen):
                call()
    close(app)


def test_money_is_integer_minor_units_with_a_currency_and_times_are_aware() -> None:
    for table in Base.metadata.sorted_tables:
        amounts = [column for column in table.columns if column.name.endswith("_minor")]
        assert not amounts or any(column.name.endswith("currency") for column in table.columns), table.name
        assert all(isinstance(column.type, sa.Integer) for column in amounts), table.name
        for column in table.columns:
            assert not isinstance(column.type, sa.Numeric), column
            assert isinstance(column.type, UTCDateTime) or not isinstance(column.type, sa.DateTime), column


def test_one_function_forbids_caching() -> None:
    found = places(lambda nodes: (one for one in nodes if getattr(one, "value", None) == "no-store"))
    assert files(found) == {"core/security.py"}


def test_one_macro_writes_the_csrf_field() -> None:
    found = {path.name for path in TEMPLATES.rglob("*.html") if 'name="csrf_token"' in path.read_text()}
    assert found == {"forms.html"}


def test_imported_templates_translate_inside_of_macros() -> None:
    """Everything else in them is evaluated once, in the first reader's language."""
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    templates = {
        path.relative_to(TEMPLATES).as_posix(): environment.parse(path.read_text())
        for path in TEMPLATES.rglob("*.html")
        if "sandbox" not in path.parts
    }
    imported = {
        getattr(getattr(node, "template", None), "value", None)
        for tree in templates.values()
        for node in tree.find_all((nodes.FromImport, nodes.Import))
    }
    assert imported
    for name in imported:
        outside = [node for node in templates[str(name)].body if not isinstance(node, nodes.Macro)]
        found = {
            call.node.name
            for node in outside
            for call in node.find_all(nodes.Call)
            if hasattr(call.node, "name")
        }
        assert not found & {"_", "gettext", "ngettext"}, name


def test_no_test_waits_for_a_fixed_time() -> None:
    """It asks again and again, with a long bound; where only time helps, the line says why."""

    def pauses(nodes: Nodes) -> Iterator[ast.AST]:
        loops = (node for node in nodes if isinstance(node, ast.While | ast.For))
        looping = {id(call) for loop in loops for call in calls(ast.walk(loop), "sleep")}
        return (call for call in calls(nodes, "sleep") if id(call) not in looping)

    for place in places(pauses, "tests"):
        path, _, number = place.partition(":")
        line = (PROJECT_ROOT / "tests" / path).read_text().splitlines()[int(number) - 1]
        assert "# A fixed pause: " in line, place


def test_no_test_is_switched_off() -> None:
    """One skips only where a server or a browser is not installed."""
    switches = {"skip", "skipif", "xfail", "importorskip"}
    found = places(lambda nodes: (one for one in nodes if getattr(one, "attr", "") in switches), "tests")
    assert files(found) == {"servers.py"}


def test_every_check_that_contributing_names_exists() -> None:
    """In the table of rules: contracts, ruff's rules, tests."""
    text = (PROJECT_ROOT / "CONTRIBUTING.md").read_text()
    rows = re.findall(
        r"^\| (?!rule|---)(.+?) \| (.+?) \|$",
        text.partition("## Rules")[2].partition("\n## ")[0],
        re.MULTILINE,
    )
    assert len(rows) > 15
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]
    contracts = {one["name"] for one in project["importlinter"]["contracts"]}
    named = {rule: re.findall(r"`([^`]+)`", check) for rule, check in rows}
    assert contracts <= {name for names in named.values() for name in names}, "a contract that no rule names"
    for rule, names in named.items():
        assert names, rule
        for name in names:
            path, _, test = name.partition("::")
            if path.startswith("tests/"):
                assert (PROJECT_ROOT / path).exists(), name
                assert not test or f"def {test}(" in Path(PROJECT_ROOT / path).read_text(), name
            else:
                assert name in contracts or name in project["ruff"]["lint"]["select"], name
