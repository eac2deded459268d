"""Every sentence that people read goes through gettext and is in the catalogue (CONTRIBUTING.md says how)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from bookingapp.core.i18n import LANGUAGES, SOURCE
from tests.house.messages import CATALOGUE, ROOT, extract, languages, read, to_translate
from tests.house.sentences import in_module, in_script, in_template

PACKAGE = ROOT / "bookingapp"
# The help of metrics is for Prometheus.
METRICS = {"operations/metrics.py", "webhooks/counters.py"}


def feature(path: Path) -> str:
    """The folder or module that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0]


def ours(pattern: str) -> list[Path]:
    """Files that we write for people; the sandbox is an outsider."""
    metrics = {PACKAGE / name for name in METRICS}
    return [path for path in sorted({*PACKAGE.rglob(pattern)} - metrics) if "sandbox" not in path.parts]


def found() -> dict[str, list[str]]:
    """By feature: what people read and gettext does not know."""
    everything: dict[str, list[str]] = {}
    for path in ours("*.py"):
        # What errors of providers say is for logs, but for the sentence that they name as the user's.
        unknown = in_module(path.read_text(), only_shown=feature(path) == "integrations")
        everything.setdefault(feature(path), []).extend(f"{path.name}:{text}" for text in unknown)
    for path in (*ours("*.html"), *ours("*.txt")):
        unknown = in_template(path.read_text())
        everything.setdefault(feature(path), []).extend(f"{path.name}: {text}" for text in unknown)
    for path in ours("static/*.js"):
        everything.setdefault(feature(path), []).extend(in_script(path.read_text()))
    return {name: texts for name, texts in everything.items() if texts}


def test_people_read_nothing_that_gettext_does_not_know() -> None:
    """In pages, mails, messages and on the command line."""
    assert found() == {}


def test_the_catalogue_is_fresh(tmp_path: Path) -> None:
    """It has exactly the sentences that there are; `make messages` writes it."""
    extract(tmp_path / "messages.pot")
    assert sentences(CATALOGUE) == sentences(tmp_path / "messages.pot"), "run: make messages"


def sentences(path: Path) -> set[str | tuple[str, ...]]:
    """The identities in a catalogue."""
    with path.open("rb") as file:
        return {tuple(one.id) if isinstance(one.id, list | tuple) else one.id for one in read_po(file)}


def test_every_language_that_is_offered_has_a_catalogue() -> None:
    assert {path.parts[-3] for path in languages()} == set(LANGUAGES) - {SOURCE}


@pytest.mark.parametrize("path", languages(), ids=lambda path: path.parts[-3])
def test_every_sentence_is_translated(path: Path) -> None:
    """With the gaps and the markup of the source, and a form for each number that the language tells apart."""
    catalogue, template = read(path), to_translate()
    assert {one.id for one in catalogue if one.id} == {one.id for one in template if one.id}, (
        "run: make messages"
    )
    for one in catalogue:
        sources, texts = (values(one.id), values(one.string)) if one.id else ([], [])
        assert all(texts), f"not translated: {one.id}"
        assert not one.fuzzy, one.id
        assert len(texts) == (catalogue.num_plurals if one.pluralizable else len(sources)), one.id
        for text in texts:
            assert gaps(text) in {gaps(source) for source in sources}, f"{one.id} => {text}"


def values(text: str | tuple[str, ...] | list[str] | None) -> list[str]:
    """A sentence, or its forms."""
    return [text] if isinstance(text, str) else list(text or ())


def gaps(text: str) -> tuple[str, ...]:
    """What is filled in, and the markup."""
    return tuple(sorted({*re.findall(r"%\(\w+\)[sd]|%%|<[^>]*>|\{\w+\}", text)}))


@pytest.mark.parametrize(
    "source",
    [
        "<p>Hello</p>",
        "<p>Hello {{ name }}</p>",
        "<p>{{ name }}, hello</p>",
        '<p title="Hello"></p>',
        '<nav aria-label="Main"></nav>',
        '<input placeholder="A name" alt="">',
        '<input type="submit" value="Save">',
        '<meta name="description" content="Hours">',
        '<p data-gone="It is gone."></p>',
        '<p{% if x %} title="{{ x }} hours"{% endif %}></p>',
        "{% if x %}Hello{% endif %}",
        '{{ notice("info", "Hello") }}',
        '{{ button(name ~ " did not come") }}',
        '{{ "Yes, go on" if x else _("No") }}',
        '{% trans name="Ada Okonkwo" %}Hello {{ name }}{% endtrans %}',
        '{% set labels = {"a": "Published"} %}',
    ],
)
def test_what_a_template_says_by_itself_is_found(source: str) -> None:
    assert len(in_template(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "{# Hello #}<p>{{ _('Hello') }}</p>",
        "{% trans %}Hello <strong>you</strong>{% endtrans %}",
        "{% trans num=n %}One builder{% pluralize %}{{ num }} builders{% endtrans %}",
        '<a class="button" href="/x" data-state="ready" title="{{ _("Hello") }}">1 · {{ x }} → 2</a>',
        '<strong>Calendly</strong>{{ icon("check", "icon icon--big") }}',
        '{% if request.method == "GET" and field.type != "SelectField" %}{% endif %}',
        "{% block body_class %}page-booking{% endblock %}",
        '<input type="hidden" value="yes"><meta name="robots" content="noindex">',
    ],
)
def test_what_a_template_may_say_passes(source: str) -> None:
    assert in_template(source) == []


@pytest.mark.parametrize(
    "source",
    [
        'x = "Write your name."',
        'x = f"Hello {name}"',
        'x = f"{name} has booked a session"',
        'x = {"a": "Published"}',
        'raise Conflict("This is over.")',
        'flash("saved", "ok")',
        'click.echo("no matching deliveries")',
        'click.echo(f"{count} done")',
        'raise click.ClickException("no such row")',
        'email = EmailField("e-mail")',
        'title = "over"',
        'do(label="over")',
        'gettext(f"Hello {name}")',
        'gettext("Hello " + name)',
        "x = f\"{gettext('Hello')}\"",
    ],
)
def test_what_a_module_says_by_itself_is_found(source: str) -> None:
    assert len(in_module(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""\n\ndef do() -> None:\n    """Do it."""',
        'x = gettext("Hello %(name)s", name=name)',
        'x = ngettext("%(num)s hour", "%(num)s hours", n)',
        'title = lazy_gettext("Over")',
        'user_message = N_("It is over.")',
        "gettext(error.user_message)",
        'log.warning("Redis is back after %s", x)',
        'raise ValueError("Times have a zone")',
        'headers["Location"] = x',
        'if name in ("Allow", "Retry-After"): pass',
        '@click.option("--slug", help="The builder\'s slug.")\ndef do() -> None: ...',
        'x = "scheduled"',
        'T = TypeVar("T")',
        'link = f"{x}:{y}"',
    ],
)
def test_what_a_module_may_say_passes(source: str) -> None:
    assert in_module(source) == []


def test_names_decide_in_integrations() -> None:
    """The text of an error is for a log; the user's sentence has a name of its own."""
    source = 'raise Unavailable(f"{what}: no answer at all")\nuser_message = "It is over."'
    assert in_module(source, only_shown=True) == ["2: It is over."]


def test_what_a_script_says_by_itself_is_found() -> None:
    source = """// Not this.
    /* Nor "This one". */ say("It is gone."); const x = "DOMContentLoaded"; region.dataset["gone"];"""
    assert in_script(source) == ["It is gone."]


def test_no_template_gives_underscore_another_meaning() -> None:
    """`{% set _ = … %}` would leave the sentences behind it without `_()`."""
    assert [
        path.name for path in ours("*.html") if re.search(r"{% (?:set|for) (?:\w+, )*_\b", path.read_text())
    ] == []
