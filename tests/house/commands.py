"""Reads the commands that a text names, and says which of them do not exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import flask.cli
from flask import Flask

from bookingapp.cli import register

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
# How the program is called; deploy/bookingapp is the same with the services' settings.
CALL = re.compile(r"(?:flask --app wsgi|(?:^|/)flask(?! --app)|^bookingapp) (?=[a-z-])")


def all_commands() -> click.Group:
    """Every command of ``flask --app wsgi``, without an application."""
    app = Flask("commands")
    register(app)
    context = click.Context(app.cli)
    found = [app.cli.get_command(context, name) for name in app.cli.list_commands(context)]
    return click.Group("commands", [*filter(None, found), flask.cli.shell_command])


def pieces(text: str) -> Iterator[str]:
    """The lines of shell blocks, whole where they are continued, and what stands in backticks."""
    for kind, block in FENCE.findall(text):
        if kind in ("sh", "shell", "bash"):
            yield from block.replace("\\\n", " ").splitlines()
    yield from CODE.findall(FENCE.sub("", text))


def calls(text: str, commands: click.Group) -> Iterator[list[str]]:
    """What follows the program's name, and commands of a group that are named without it."""
    for piece in pieces(text):
        bare = piece.partition(" #")[0].strip()
        if found := CALL.search(bare):
            yield words(bare[found.end() :])
        elif len(bare.split()) > 1 and isinstance(commands.commands.get(bare.split()[0]), click.Group):
            yield words(bare)


def words(line: str) -> list[str]:
    """One command without what the shell does with it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    found: list[str] = []
    for word in lexer:
        if set(word) <= set("|&;<>()"):
            break
        found.append(word)
    return found


def fault(given: list[str], command: click.Command) -> str | None:
    """Why this is no command of ours; the values of arguments and options are not judged."""
    rest = list(given)
    while isinstance(command, click.Group):
        if not rest or (found := command.commands.get(rest.pop(0))) is None:
            return f"no command {' '.join(given)!r}"
        command = found
    options = {name: one for one in command.params for name in (*one.opts, *one.secondary_opts)}
    options["--help"] = click.Option(["--help"], is_flag=True)
    for word in rest:
        name = word.partition("=")[0].rstrip("…")
        if word.startswith("-") and name not in options:
            return f"no option {word!r} of {' '.join(given)!r}"
    return None
