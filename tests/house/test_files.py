"""Rules about files: htmx, lock files, templates, the length of modules, names of machines."""

from __future__ import annotations

import base64
import hashlib
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bookingapp.core import security
from bookingapp.core.settings import PROJECT_ROOT
from tests.house.secrets import tracked

PACKAGE = PROJECT_ROOT / "bookingapp"
# A mail has its style in it: mail programs load no sheet, and none of our policies holds there.
MAIL = PACKAGE / "templates" / "notifications" / "mail.html"
TEMPLATES = sorted(path for path in (PACKAGE / "templates").rglob("*.html") if path != MAIL)
MODULES = sorted(path for top in ("bookingapp", "tests") for path in (PROJECT_ROOT / top).rglob("*.py"))
LONGEST_MODULE = {"bookingapp": 400, "tests": 600}
LOCKS = ("requirements.txt", "requirements-dev.txt")
_TAG = re.compile(
    r"<(?P<name>[a-z][a-z0-9]*)\b(?P<attributes>(?:[^>\"']|\"[^\"]*\"|'[^']*')*)>", re.IGNORECASE
)


def test_the_vendored_htmx_is_the_one_whose_hash_pages_carry() -> None:
    """The fallback has the bytes of the CDN's file, and both names say the same version."""
    vendored = (PACKAGE / "static" / security.HTMX_FALLBACK).read_bytes()
    digest = base64.b64encode(hashlib.sha384(vendored).digest()).decode()
    assert f"sha384-{digest}" == security.HTMX_INTEGRITY
    version = re.fullmatch(r"vendor/htmx-(\d+\.\d+\.\d+)\.min\.js", security.HTMX_FALLBACK)
    assert version
    assert f"https://cdn.jsdelivr.net/npm/htmx.org@{version[1]}/dist/htmx.min.js" == security.HTMX_URL
    assert f'version:"{version[1]}"'.encode() in vendored


@pytest.mark.parametrize("name", LOCKS)
def test_lock_files_name_no_host_and_hash_everything(name: str) -> None:
    """So that any package index serves them and nothing else than these bytes is installed."""
    text = (PROJECT_ROOT / name).read_text()
    assert "://" not in text
    assert "--index" not in text
    entries = [entry for entry in re.split(r"\n(?=\S)", text) if not entry.startswith("#")]
    assert len(entries) > 20
    for entry in entries:
        pin = re.match(r"[A-Za-z0-9._-]+(\[[^\]]+\])?==\S+", entry)
        assert pin, entry.splitlines()[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), pin[0]


def test_every_direct_dependency_is_pinned_within_its_range() -> None:
    """What ``pyproject.toml`` asks for is in the lock files."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())
    runtime = [Requirement(text) for text in project["project"]["dependencies"]]
    development = [Requirement(text) for text in project["dependency-groups"]["dev"]]
    for name, wanted in zip(LOCKS, (runtime, [*runtime, *development]), strict=True):
        pins = _pins(name)
        for requirement in wanted:
            pinned = pins.get(canonicalize_name(requirement.name))
            assert pinned, f"{requirement.name} is not in {name}"
            assert requirement.specifier.contains(pinned), f"{requirement} is pinned at {pinned}"
    both = _pins(LOCKS[0])
    assert both == {name: _pins(LOCKS[1])[name] for name in both}


def _pins(name: str) -> dict[str, str]:
    found = re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[^\]]+\])?==([^\s;]+)", (PROJECT_ROOT / name).read_text(), re.MULTILINE
    )
    return {canonicalize_name(package): version for package, version in found}


@pytest.mark.parametrize(
    "path", TEMPLATES, ids=lambda path: path.relative_to(PACKAGE / "templates").as_posix()
)
def test_templates_have_nothing_inline(path: Path) -> None:
    """No script, no style, no handler, no address that runs: the policy forbids them all."""
    text = re.sub(r"\{#.*?#\}", "", path.read_text(), flags=re.DOTALL)
    assert not re.search(r"<style\b", text, re.IGNORECASE)
    # Browsers run no data of schema.org; it is written by Flask's filter, which lets no tag out.
    text = text.replace('<script type="application/ld+json">{{ data|tojson }}</script>', "")
    assert not re.search(r"<script(?![^>]*\ssrc=)[^>]*>", text, re.IGNORECASE)
    assert not re.search(r"javascript:", text, re.IGNORECASE)
    assert not re.search(r"\|\s*safe\b", text), "what is safe is marked by the code that made it so"
    for tag in _TAG.finditer(text):
        assert not re.search(
            r"\s(?:on[a-z]+|style|hx-on[:-][^=\s]*|hx-vars|hx-vals)\s*=", tag["attributes"]
        ), tag[0]


def test_a_features_templates_are_in_its_own_folder() -> None:
    """The list of a client's bookings asks for the address with the sign-in's form; the brand is everybody's."""
    shared = {("checkout", "clients/ask.html"), ("notifications", "components/brand.html")}
    shared.add(("accounts", "components/brand.html"))
    named = re.compile(r'"(\w+/\w+\.(?:html|txt))"')
    found = {
        (path.relative_to(PACKAGE).parts[0], name)
        for path in PACKAGE.rglob("*.py")
        if "sandbox" not in path.parts
        for name in named.findall(path.read_text())
    }
    assert {(feature, name) for feature, name in found if name.split("/")[0] != feature} == shared


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PROJECT_ROOT).as_posix())
def test_modules_are_short_and_say_what_they_are(path: Path) -> None:
    """A docstring first; annotations as text."""
    text = path.read_text()
    lines, limit = len(text.splitlines()), LONGEST_MODULE[path.relative_to(PROJECT_ROOT).parts[0]]
    assert lines <= limit
    if path.name != "__init__.py" or lines > 1:
        assert text.lstrip().startswith(('"""', 'r"""')), "no docstring"
    if "\nimport " in text or "\nfrom " in text:
        assert "from __future__ import annotations" in text


def test_nothing_committed_names_a_machine() -> None:
    """No path of a machine and no host of a package index."""
    words = re.compile(
        "/" + "work/|/" + r"home/[a-z]+/|/" + "Users/[A-Z]|pypi" + r"\.org/simple|registry" + r"\.npmjs"
    )
    found = []
    for path in tracked():
        if path.suffix in (".png", ".jpg", ".woff2") or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
            if words.search(line):
                found.append(f"{path.relative_to(PROJECT_ROOT)}:{number}")
    assert found == []
