"""Finds what people read and gettext does not know, in templates and in Python."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser

from jinja2 import Environment, nodes

MARKS = {"_", "gettext", "lazy_gettext", "ngettext", "N_"}
# A gap stands for whatever is filled in.
GAP = "\N{OBJECT REPLACEMENT CHARACTER}"
# A capitalised word, alone or with more after it; or words behind a gap.
SENTENCE = re.compile(
    rf"""\s*(?: ["'(\u201c\u2018]? [A-Z][a-z\u2019']* (?:[\s,.:;!?)\u2026]|$)
           | {GAP}.*?[a-z\u2019',]+[ ][a-z\u2019']+ )""",
    re.DOTALL | re.VERBOSE,
)
WORDS = re.compile(r"[a-z]+ [a-z]+")
LETTER = re.compile(r"[^\W\d_]")

VISIBLE_ATTRIBUTES = {
    "alt",
    "aria-description",
    "aria-label",
    "data-announce",
    "label",
    "placeholder",
    "title",
}
BUTTONS = {"button", "reset", "submit"}

# The same in every language, each with what it is.
NAMES = {
    "Builder Hours": "the product",
    "Calendly": "a company",
    "Stripe": "a company",
    "Forwarded": "a header",
    "Cookie": "a header",
    "C": "an order of letters",
    "From": "a header",
    "To": "a header",
    "Lax": "a cookie's attribute",
    "Microsoft Edge": "a browser",
    "Opera": "a browser",
    "Samsung Internet": "a browser",
    "Vivaldi": "a browser",
    "Firefox": "a browser",
    "Chrome": "a browser",
    "Safari": "a browser",
    "Person": "a type of schema.org",
    "Offer": "a type of schema.org",
    "Service": "a type of schema.org",
    "Android": "a system",
    "Windows": "a system",
    "Mac": "a system",
    "Linux": "a system",
}

_JINJA = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
_JINJA.newstyle_gettext = True  # type: ignore[attr-defined]


def in_template(source: str) -> list[str]:
    """What a template shows without asking gettext: text, visible attributes, and sentences in expressions."""
    tree = _JINJA.parse(source)
    for block in tree.find_all(nodes.Block):
        if block.name.endswith("_class"):
            block.body = []
    page = _Page()
    for output in tree.find_all(nodes.Output):
        for part in output.nodes:
            page.feed(part.data if isinstance(part, nodes.TemplateData) else GAP)
    page.close()
    return [text for text in (*page.found, *_constants(tree)) if text not in NAMES]


class _Page(HTMLParser):
    """The page with all branches of every condition, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Attributes that are shown or read aloud."""
        given = dict(attrs)
        shown = VISIBLE_ATTRIBUTES & set(given)
        shown.update(
            name for name, value in attrs if name.startswith("data-") and SENTENCE.match(value or "")
        )
        if tag == "meta" and given.get("name") == "description":
            shown.add("content")
        if tag == "input" and given.get("type") in BUTTONS:
            shown.add("value")
        for name in sorted(shown):
            self.handle_data(given[name] or "")

    def handle_data(self, data: str) -> None:
        """Text with a letter in it."""
        if self.cdata_elem is None and LETTER.search(data):
            self.found.append(" ".join(data.split()))


def _constants(node: nodes.Node) -> Iterator[str]:
    """Sentences in expressions, and words that are glued to others."""
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in MARKS:
        for variable in node.kwargs:
            yield from _constants(variable)
        return
    if isinstance(node, nodes.Compare):
        return
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Const):
            text = child.value
            glued = isinstance(node, nodes.Concat)
            if isinstance(text, str) and (SENTENCE.match(text) or (glued and WORDS.search(text))):
                yield text
        else:
            yield from _constants(child)


_SCRIPT = re.compile(
    r"""/\*.*?\*/|//[^\n]*|(?P<quote>["'`])(?P<text>(?:\\.|(?!(?P=quote)).)*)(?P=quote)""", re.DOTALL
)


def in_script(source: str) -> list[str]:
    """What a script says by itself; its sentences come with the page."""
    texts = [found["text"] for found in _SCRIPT.finditer(source) if found["text"]]
    return [text for text in texts if " " in text and SENTENCE.match(text)]


# Calls whose first argument is shown, whatever it is like; the field of a form is another.
SHOWING = {
    "BadParameter",
    "ClickException",
    "UsageError",
    "ValidationError",
    "confirm",
    "echo",
    "flash",
    "prompt",
}
# Arguments, variables and attributes that are shown.
SHOWN = {"description", "form_error", "label", "message", "title", "user_message"}
# Calls whose text nobody translates, each with what it is.
OTHERS = {
    "DemoBuilder": "what the invented builders say of themselves",
    "ParamSpec": "a name in types",
    "SettingsError": "what stops the start",
    "TypeVar": "a name in types",
    "cast": "a name in types",
}
LOGS = {"log", "logger"}


def in_module(source: str, *, only_shown: bool = False) -> list[str]:
    """What a module says to people without asking gettext, each with its line. ``only_shown`` judges by names alone:
    other sentences of the module are for logs.
    """
    finder = _Module(only_shown=only_shown)
    finder.visit(ast.parse(source))
    return finder.found


class _Module(ast.NodeVisitor):
    """Docstrings, logs, help of commands, annotations, comparisons, keys and errors of Python's own are for us."""

    def __init__(self, *, only_shown: bool) -> None:
        self.found: list[str] = []
        self._only_shown = only_shown

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.visit(node.value)

    def visit_Compare(self, node: ast.Compare) -> None:
        pass

    def visit_match_case(self, node: ast.match_case) -> None:
        self._each(node.body)

    def visit_arg(self, node: ast.arg) -> None:
        pass

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._assigned([node.target], node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._assigned(node.targets, node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        if isinstance(node.exc, ast.Call) and not hasattr(builtins, _name(node.exc.func)):
            self.visit(node.exc)

    def visit_Call(self, node: ast.Call) -> None:
        name = _name(node.func)
        if name in OTHERS or _root(node.func) in LOGS:
            return
        if name in MARKS:
            for given in node.args:
                if isinstance(given, ast.JoinedStr | ast.BinOp):
                    self._find(given, "made up before it is translated")
            self._each(node.keywords)
            return
        for position, given in enumerate(node.args):
            self._given(given, shown=position == 0 and (name in SHOWING or name.endswith("Field")))
        for keyword in node.keywords:
            if keyword.arg != "help":
                self._given(keyword.value, shown=keyword.arg in SHOWN)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._judge(node)
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)
                if any(isinstance(one, ast.Call) and _name(one.func) in MARKS for one in ast.walk(part)):
                    self._find(node, "gettext inside of an f-string is not extracted")

    def visit_Constant(self, node: ast.Constant) -> None:
        self._judge(node)

    def _judge(self, node: ast.expr) -> None:
        if not self._only_shown and SENTENCE.match(_text(node)):
            self._find(node)

    def _each(self, children: Iterable[ast.AST]) -> None:
        for child in children:
            self.visit(child)

    def _assigned(self, targets: Iterable[ast.expr], value: ast.expr | None) -> None:
        names = {_name(target) for target in targets}
        if value is not None and "__all__" not in names:
            self._given(value, shown=bool(names & SHOWN))

    def _given(self, value: ast.expr, *, shown: bool) -> None:
        if shown and LETTER.search(_text(value)):
            self._find(value)
        else:
            self.visit(value)

    def _find(self, node: ast.expr, why: str = "") -> None:
        text = _text(node)
        if text.strip() not in NAMES:
            self.found.append(f"{node.lineno}: {why or text}")


def _name(node: ast.expr) -> str:
    """``save`` of ``save``, ``self.save`` and ``self.a.save``."""
    return str(getattr(node, "id", getattr(node, "attr", "")))


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return _name(node)


def _text(node: ast.expr) -> str:
    """A literal's text, with gaps for what an f-string fills in; empty for anything else."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else GAP for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
