"""Sheets, templates and ``docs/design.md`` agree: layers, tokens, classes, break points, components."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from itertools import chain
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

from bookingapp.builders.models import Availability, Tier
from bookingapp.core.settings import PROJECT_ROOT

from .styles import Rule, Sheet, queried_classes, read_sheet, written_classes

STATIC = PROJECT_ROOT / "bookingapp" / "static"
TEMPLATES = PROJECT_ROOT / "bookingapp" / "templates"
COMPONENTS = TEMPLATES / "components"
PAGE = (PROJECT_ROOT / "docs" / "design.md").read_text()
PICO = STATIC / "vendor" / "pico-2.1.1.layer.min.css"
# Of @picocss/pico 2.1.1, css/pico.min.css.
PICO_DIGEST = "fbc9a63fc9fc9f72d12fd7fc9806e11fa9f77ae4f9cad146b27003a1119ba3db"

APP = read_sheet(STATIC / "app.css")
# widget.css poses as Calendly's own, which knows no layers and comes from elsewhere.
SANDBOX = [
    read_sheet(path) for path in sorted((STATIC / "sandbox").rglob("*.css")) if path.name != "widget.css"
]
SHEETS = [APP, *SANDBOX]
APP_LAYERS = ["pico", "tokens", "base", "layout", "components", "pages", "conditions"]
SANDBOX_LAYERS = ["tokens", "base", "components", "pages", "conditions"]

SANDBOX_TEMPLATES = sorted((TEMPLATES / "sandbox").rglob("*.html"))
# A mail has its style in it.
MAIL = TEMPLATES / "notifications" / "mail.html"
APP_TEMPLATES = [path for path in sorted(TEMPLATES.rglob("*.html")) if path not in (*SANDBOX_TEMPLATES, MAIL)]
APP_SCRIPTS = [STATIC / "app.js"]
SANDBOX_SCRIPTS = [STATIC / "sandbox" / "calendly" / "booking.js"]

# What stands behind a prefix when a template writes the rest of a class.
ENDINGS: Mapping[str, AbstractSet[str]] = {
    "availability--*": set(Availability),
    "avatar--*": {"large", "small"},
    "button--*": {"primary", "quiet", "danger"},
    "hue-*": set("01234567"),
    "steps__item--*": {"done", "current", "todo"},
    "tier--*": set(Tier),
    "tone-*": {"ok", "info", "warning", "problem", "off"},
    "badge--*": {"good", "bad", "warn", "calm"},
}
# htmx sets it while it waits for an answer.
SET_BY_HTMX = {"htmx-request"}

COLORED = re.compile(r"color(?!-scheme)|background|border|outline|fill|stroke|shadow|decoration|^--")
RAW_COLOR = re.compile(r"#[0-9a-f]{3,8}\b|\b(?:rgba?|hsla?|hwb|lab|lch|oklab|oklch|color)\(", re.IGNORECASE)
# Every word that a property with a color may have, so that none is the name of a color.
NO_COLOR = {
    "collapse",
    "currentcolor",
    "dashed",
    "dotted",
    "inherit",
    "inset",
    "linear",
    "linear-gradient",
    "no-repeat",
}
NO_COLOR |= {"line-through", "none", "round", "solid", "transparent", "underline"}
SYSTEM_COLORS = {"canvastext", "graytext", "highlight"}
PHYSICAL = re.compile(r"^(?:left|right|(?:margin|padding|border)-(?:left|right)\b.*)$")


def everywhere(sheets: list[Sheet] = SHEETS) -> list[tuple[str, Rule]]:
    return [(sheet.path.name, rule) for sheet in sheets for rule in sheet.rules]


def expand(written: set[str]) -> set[str]:
    """The classes as a browser sees them."""
    unknown = {name for name in written if "*" in name} - ENDINGS.keys()
    assert not unknown, f"write these classes out, or say in ENDINGS what can follow: {unknown}"
    endings = {prefix: ENDINGS.get(prefix, {""}) for prefix in written}
    return {name.replace("*", ending) for name, each in endings.items() for ending in each}


# Layers


def test_pico_is_the_published_file_in_a_layer_of_its_own() -> None:
    inside = PICO.read_bytes().removeprefix(b"@layer pico{\n").removesuffix(b"\n}\n")
    assert hashlib.sha256(inside).hexdigest() == PICO_DIGEST
    head = (COMPONENTS / "head.html").read_text()
    assert re.findall(r"static_url\('(.*?\.css)'\)", head) == [f"vendor/{PICO.name}", "app.css"]


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.path.name)
def test_every_rule_lies_in_a_declared_layer(sheet: Sheet) -> None:
    """The order is declared once, by the first sheet of ours that a page loads."""
    layers = APP_LAYERS if sheet is APP else SANDBOX_LAYERS
    declared = [f"@layer {', '.join(layers)}"] if sheet.path.name in ("app.css", "sandbox.css") else []
    assert sheet.statements == declared
    assert [rule for rule in sheet.rules if len(rule.layers) != 1 or rule.layers[0] not in layers] == []


def test_no_selector_outdoes_another_by_a_trick() -> None:
    """No ``!important``, no id, nothing written twice or asked for that is always there."""
    for name, rule in everywhere():
        where = f"{name}: {rule.selector}"
        assert not any("!" in value for _, value in rule.declarations), where
        without_attributes = re.sub(r"\[[^\]]*\]", "", rule.selector)
        assert "#" not in without_attributes, where
        assert not re.search(r"(\.[\w-]+)\1(?![\w-])|:root\S|:is\(\*|:nth-child\(n\)", rule.selector), where


def test_sides_are_logical() -> None:
    """So that a script that runs from right to left needs no sheet of its own."""
    for name, rule in everywhere():
        sides = [property_ for property_, _ in rule.declarations if PHYSICAL.match(property_)]
        sides += [value for _, value in rule.declarations if value in ("left", "right")]
        assert not sides, f"{name}: {rule.selector}: {sides}"


# Tokens


def test_colors_stand_among_the_tokens() -> None:
    for name, rule in everywhere():
        if rule.layers == ["tokens"]:
            continue
        allowed = NO_COLOR | (SYSTEM_COLORS if "@media (forced-colors: active)" in rule.around else set())
        for property_, value in rule.declarations:
            where = f"{name}: {rule.selector}: {property_}: {value}"
            assert not RAW_COLOR.search(value), where
            if COLORED.search(property_):
                bare = re.sub(r"var\(--[\w-]+|color-mix\(in \w+,|\"[^\"]*\"|-?[\d.]+[a-z%]*", " ", value)
                words = {word.lower() for word in re.findall(r"[a-zA-Z][\w-]*", bare)}
                assert words <= allowed, where


def test_every_token_is_declared_used_and_on_the_page() -> None:
    for sheets, own in (([APP], True), (SANDBOX, False)):
        declarations = [pair for _, rule in everywhere(sheets) for pair in rule.declarations]
        declared = {name for name, _ in declarations if name.startswith("--")}
        used = set(re.findall(r"var\((--[\w-]+)", " ".join(value for _, value in declarations)))
        pico = {name for name in declared | used if name.startswith("--pico-")}
        assert declared - pico == used - pico
        if own:
            assert pico <= set(re.findall(r"--pico-[\w-]+", PICO.read_text()))
            tokens = {name for rule in APP.rules if rule.selector == ":root" for name, _ in rule.declarations}
            tokens = {name for name in tokens - pico if name.startswith("--")}
            assert tokens <= set(re.findall(r"`(--[\w-]+)`", PAGE)) <= declared


def test_the_browser_is_painted_like_the_page() -> None:
    """The two theme colors of the head are those of the paper."""
    paper = dict(next(rule for rule in APP.rules if rule.selector == ":root").declarations)["--paper"]
    head = (COMPONENTS / "head.html").read_text()
    assert f"light-dark({', '.join(re.findall(r'content=.(#[0-9a-f]{6})', head))})" == paper


def test_animations_are_declared_and_used() -> None:
    for sheet in SHEETS:
        used = {
            value.split()[0]
            for rule in sheet.rules
            for name, value in rule.declarations
            if name == "animation" and value != "none"
        }
        assert used == sheet.keyframes


# Classes


@pytest.mark.parametrize(
    ("sheets", "templates", "scripts"),
    [([APP], APP_TEMPLATES, APP_SCRIPTS), (SANDBOX, SANDBOX_TEMPLATES, SANDBOX_SCRIPTS)],
    ids=["app", "sandbox"],
)
def test_every_class_has_a_rule_and_every_rule_a_use(
    sheets: list[Sheet], templates: list[Path], scripts: list[Path]
) -> None:
    """A class that only a script looks for needs no rule, but has to be written somewhere."""
    written = expand(set(written_classes(templates)))
    ruled = set(chain.from_iterable(rule.classes for _, rule in everywhere(sheets)))
    assert written - ruled == set(), "classes without a rule"
    assert ruled - written - SET_BY_HTMX == set(), "rules without a use"
    assert queried_classes(scripts) <= written


def test_every_state_that_a_rule_asks_for_is_written() -> None:
    """The scheduler's: by its template or by the script."""
    sources = "\n".join(path.read_text() for path in (*APP_TEMPLATES, *APP_SCRIPTS))
    asked = {
        found
        for _, rule in everywhere()
        for found in re.findall(r"\[(data-[\w-]+)=([\w-]+)\]", rule.selector)
    }
    assert asked
    for attribute, value in asked:
        assert f'{attribute}="{value}"' in sources or f'enter("{value}")' in sources


def test_every_tone_that_a_template_names_has_a_rule() -> None:
    """Where it calls for what has a tone: a word, a choice of words, or a table from states to tones."""
    position = {"badge": 1, "disc": 1, "notice": 0}
    named: set[str] = set()
    for path in APP_TEMPLATES:
        tree = Environment(autoescape=True, extensions=["jinja2.ext.i18n"]).parse(path.read_text())
        tables: dict[str, nodes.Node] = {
            one.target.name: one.node
            for one in tree.find_all(nodes.Assign)
            if isinstance(one.target, nodes.Name)
        }
        for call in tree.find_all(nodes.Call):
            name = call.node.name if isinstance(call.node, nodes.Name) else ""
            if len(call.args) > position.get(name, len(call.args)):
                named |= tones_of(call.args[position[name]], tables)
    assert named == ENDINGS["tone-*"]


def tones_of(node: nodes.Node, tables: dict[str, nodes.Node]) -> set[str]:
    """The words that an expression can come to, as far as the template knows."""
    parts: list[nodes.Node | None] = []
    match node:
        case nodes.Const(value=str(word)):
            return {word}
        case nodes.CondExpr():
            parts = [node.expr1, node.expr2]
        case nodes.Dict():
            parts = [pair.value for pair in node.items]
        case nodes.Name():
            parts = [tables.get(node.name)]
        case nodes.Getitem():
            parts = [node.node]
        case nodes.Call(node=nodes.Getattr(node=table, attr="get")):
            parts = [table, *node.args[1:]]
    return set().union(*(tones_of(part, tables) for part in parts if part is not None))


def test_python_writes_no_class() -> None:
    """What has a class is made in a template."""
    modules = (PROJECT_ROOT / "bookingapp").rglob("*.py")
    assert [
        path.name for path in modules if re.search(r"\bclass=[\"']|\"class\":|class_=", path.read_text())
    ] == []


def test_the_stand_in_widget_styles_what_it_builds() -> None:
    sheet = read_sheet(STATIC / "sandbox" / "calendly" / "widget.css")
    script = (STATIC / "sandbox" / "calendly" / "widget.js").read_text()
    built = set(re.findall(r"calendly-[a-z-]+[a-z]", script))
    ruled = set(chain.from_iterable(rule.classes for rule in sheet.rules))
    assert {name for name in ruled if not name.startswith("calendly-bounce-")} <= built


# The page


def test_break_points_are_those_of_the_page() -> None:
    named = set(re.findall(r"\(width (?:<|>=) ([\d.]+rem)\)", PAGE))
    conditions = [
        around for rule in APP.rules for around in rule.around if "width" in around or "height" in around
    ]
    used = [re.fullmatch(r"@media \(width (?:<|>=) ([\d.]+rem)\)", condition) for condition in conditions]
    assert {found[1] if found else None for found in used} == named


def test_layers_are_those_of_the_page() -> None:
    assert re.findall(r"^\| `(\w+)` \|", section("Layers"), re.MULTILINE) == APP_LAYERS


def test_classes_that_the_page_names_exist() -> None:
    ruled = set(chain.from_iterable(rule.classes for rule in APP.rules))
    named = set(re.findall(r"`\.([\w-]+)`", PAGE))
    assert named
    assert named <= ruled


COMPONENT = re.compile(
    r"^\| `(?P<block>[\w-]+)` \| `(?P<macro>\w+)` \| `(?P<file>\w+\.html)` \| *(?P<hand>[^|]*)\|",
    re.MULTILINE,
)


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


@pytest.fixture(scope="module")
def components() -> list[re.Match[str]]:
    return list(COMPONENT.finditer(section("Components")))


def test_each_component_is_made_by_its_macro(components: list[re.Match[str]]) -> None:
    """Its classes are written in the macro's file alone, but where the page says why they are elsewhere."""
    written = written_classes(APP_TEMPLATES)
    for component in components:
        source = (COMPONENTS / component["file"]).read_text()
        macro = re.search(rf"\{{% macro {component['macro']}\(", source)
        assert macro, component[0]
        block = re.compile(rf"{component['block']}(?:(?:__|--).*)?")
        files = {file for name, each in written.items() if block.fullmatch(name) for file in each}
        assert component["file"] in files, component[0]
        assert files == {component["file"]} or component["hand"], component[0]


def test_each_macro_that_writes_a_class_is_on_the_page(components: list[re.Match[str]]) -> None:
    named = {(component["file"], component["macro"]) for component in components}
    for path in sorted(COMPONENTS.glob("*.html")):
        for macro, body in re.findall(
            r"\{% macro (\w+)\(.*?%\}(.*?)\{%-? endmacro %\}", path.read_text(), re.DOTALL
        ):
            if "class=" in body and not macro.startswith("_"):
                assert (path.name, macro) in named
