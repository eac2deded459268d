"""A sentence is never an identity: what the program compares is a code, what people read is made where it is shown.

The rule, checked in the syntax tree of each module and template of `bookingapp/`: no *sentence* is an operand of a
comparison, a key of a dictionary or an index, an element of a set, the value of an enum, a pattern of `match`, or an
argument of what searches, looks up or queries (`SEARCHING`, `LOOK_UPS`). A sentence is a string with a space between
words, what gettext and its kin return, and every name that a module binds to one, in whatever module it is used.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from jinja2 import Environment, nodes

from tests.house.messages import ROOT
from tests.house.sentences import MARKS

TEMPLATES = ROOT / "bookingapp" / "templates"
# What is no sentence, and why.
ALLOWED = {"BEGIN IMMEDIATE": "SQL"}
SEARCHING = {
    "contains",
    "endswith",
    "filter_by",
    "frozenset",
    "ilike",
    "in_",
    "like",
    "not_in",
    "removeprefix",
    "removesuffix",
    "startswith",
}
# These search for their first argument; the second is what they return instead.
LOOK_UPS = {"get", "pop", "setdefault"}
WORDS = re.compile(r"[^\W\d_][^\s]* +[^\s]*[^\W\d_]")
GETTEXT = {*MARKS, "ngettext"}


class Module:
    """A module with the names that are bound to sentences in it, and what its imports stand for."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.tree = name, ast.parse(source)
        self.sentences: set[str] = set()
        self.imported: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for one in node.names:
                    self.imported[one.asname or one.name] = f"{node.module}.{one.name}"
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value and is_sentence(node.value):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                self.sentences |= {target.id for target in targets if isinstance(target, ast.Name)}


def is_sentence(node: ast.AST) -> bool:
    """Whether an expression is a sentence by itself, without looking up any name."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and bool(WORDS.search(node.value)) and node.value not in ALLOWED
    if isinstance(node, ast.JoinedStr):
        return any(is_sentence(part) for part in node.values)
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in GETTEXT


def identities(node: ast.AST) -> Iterator[ast.AST | None]:
    """The expressions by which a node compares, looks up or queries something."""
    match node:
        case ast.Compare(ops=[ast.Is() | ast.IsNot(), *_]):
            pass
        case ast.Compare(left=left, comparators=others):
            yield from (left, *others)
        case ast.Dict(keys=keys):
            yield from keys
        case ast.DictComp(key=one) | ast.Subscript(slice=one) | ast.MatchValue(value=one):
            yield one
        case ast.Set(elts=elements):
            yield from elements
        case ast.Call(func=func, args=args) if name_of(func) in LOOK_UPS:
            yield from args[:1]
        case ast.Call(func=func, args=args, keywords=keywords) if name_of(func) in SEARCHING:
            yield from (*args, *(keyword.value for keyword in keywords))
        case ast.ClassDef(bases=bases, body=body) if any("Enum" in name_of(base) for base in bases):
            yield from (part.value for part in body if isinstance(part, ast.Assign))


def name_of(node: ast.AST) -> str:
    """``save`` of ``save`` and of ``self.save``."""
    return str(getattr(node, "id", getattr(node, "attr", "")))


def found_in(modules: dict[str, Module]) -> Iterator[tuple[str, str]]:
    """The name of a module, and a sentence that is an identity in it, with its line."""
    known = {f"{module.name}.{name}" for module in modules.values() for name in module.sentences}

    def means_sentence(module: Module, node: ast.AST) -> bool:
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return any(means_sentence(module, part) for part in node.elts)
        if isinstance(node, ast.Name):
            return node.id in module.sentences or module.imported.get(node.id) in known
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return f"{module.imported.get(node.value.id)}.{node.attr}" in known
        return is_sentence(node)

    for module in modules.values():
        for node in (one for parent in ast.walk(module.tree) for one in identities(parent)):
            if node is not None and means_sentence(module, node):
                yield module.name, f"{getattr(node, 'lineno', 0)}: {ast.unparse(node)}"


def test_no_sentence_is_compared_looked_up_or_queried() -> None:
    """In the whole application."""
    modules = {}
    for path in sorted((ROOT / "bookingapp").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if not name.startswith("bookingapp.sandbox"):
            modules[name] = Module(name, path.read_text())
    found = list(found_in(modules))
    assert found == []


def test_no_template_compares_a_sentence() -> None:
    """Nor looks one up."""
    environment = Environment(extensions=["jinja2.ext.i18n"])
    for path in set(TEMPLATES.rglob("*.html")) - set((TEMPLATES / "sandbox").iterdir()):
        tree = environment.parse(path.read_text())
        found: list[nodes.Node] = [
            one for node in tree.find_all(nodes.Compare) for one in node.find_all(nodes.Const)
        ]
        found += [node.arg for node in tree.find_all(nodes.Getitem)]
        found += [pair.key for pair in tree.find_all(nodes.Pair)]
        texts = [str(node.value) for node in found if isinstance(node, nodes.Const)]
        assert [text for text in texts if WORDS.search(text)] == [], path


def judge(source: str, other: str = "") -> list[str]:
    modules = {"bookingapp.a": Module("bookingapp.a", source), "bookingapp.b": Module("bookingapp.b", other)}
    return [text for name, text in found_in(modules) if name == "bookingapp.a"]


@pytest.mark.parametrize(
    "source",
    [
        'x == "waits for Calendly"',
        'if "not known" in note: pass',
        'if x in ("a", "it is over"): pass',
        'A = "it is over"\nif x != A: pass',
        "A = gettext('over')\nif x == A: pass",
        'A = N_("Over.")\ntable = {A: 1}',
        "from bookingapp.b import A\nif A in booking.reasons: pass",
        "from bookingapp import b\nquery.where(Job.note == b.A)",
        "from bookingapp import b\ntable[b.A]",
        'Job.note.in_(["it is over"])',
        'note.startswith("waits for ")',
        'note.startswith(f"waits for {x}")',
        'table.get("it is over")',
        'frozenset(("it is over",))',
        '{"it is over"}',
        'query.filter_by(note="it is over")',
        'match x:\n    case "it is over": pass',
        'class A(enum.StrEnum):\n    B = "it is over"',
    ],
)
def test_a_sentence_as_identity_is_found(source: str) -> None:
    assert len(judge(source, 'A = "it is over"')) == 1


@pytest.mark.parametrize(
    "source",
    [
        'if x == "over": pass',
        'table = {Code.A: "it is over"}',
        'A = "it is over"\nflash(A)',
        "from bookingapp.c import A\nif x == A: pass",
        'sa.text("state IN (1, 2)")',
        'headers["Content-Type"]',
        'text.partition(" ")',
        'table.get(code, "it is over")',
        'A = gettext("over")\nif A is not None: pass',
    ],
)
def test_what_is_no_identity_passes(source: str) -> None:
    assert judge(source, 'A = "it is over"') == []
