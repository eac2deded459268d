"""Searches for secrets in the files that are committed: ``python -m tests.house.secrets`` (exit 1 and file:line)."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

# The patterns of real secrets, joined from parts, so that this file does not find itself.
KINDS = {
    "private key": re.compile("-----BEGIN (?:[A-Z]+ )*PRIVATE" + " KEY-----"),
    "Stripe live key": re.compile(r"\b[srp]k_" + r"live_[A-Za-z0-9]{16,}"),
    "Stripe test key": re.compile(r"\b[srp]k_" + r"test_[A-Za-z0-9]{24,}"),
    "Stripe webhook secret": re.compile(r"\bwhsec" + r"_[A-Za-z0-9+/]{24,}"),
    "JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}"),
    "GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})"),
    "AWS key": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "Slack token": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{20,}"),
    "password in an address": re.compile(
        r"\b(?:postgres(?:ql)?(?:\+\w+)?|redis|rediss|mysql|smtp|smtps|amqp)://[^\s:/@\"'<>{}]+:(?P<secret>[^\s@\"'<>{}]{3,})@"
    ),
    "assigned secret": re.compile(
        r"""(?ix)^\s*(?:export\s+)?(?P<name>[A-Z_]*(?:SECRET|TOKEN|PASSWORD|SIGNING_KEYS?|SECRET_KEY|ENCRYPTION_KEYS))
        \s*[=:]\s*["']?(?P<secret>(?=[A-Za-z+/_=-]*[0-9])[A-Za-z0-9+/_=-]{24,})["']?\s*(?:\#.*)?$"""
    ),
}
# Placeholders for a secret in a text.
EXAMPLES = re.compile(
    r"(?i)^(?:password|secret|example|user|…|\.\.\.|x+)$|tests|sandbox|example|generate|change"
)
FORBIDDEN_NAMES = re.compile(
    r"(?:^|/)(?:\.env(?:\.(?!example$)[^/]+)?|id_(?:rsa|ed25519|ecdsa)|[^/]+\.(?:pem|p12|pfx|key|sqlite3?|db|dump))$"
)
LARGEST = 5_000_000


class Finding(NamedTuple):
    """A place that may have a secret, and of which kind; never the secret itself."""

    path: str
    line: int
    kind: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.kind}"


def tracked(root: Path = ROOT) -> list[Path]:
    """The files that git tracks; where there is no git, every file outside hidden and generated folders."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return [root / name for name in done.stdout.split("\0") if name]
    generated = {"instance", "__pycache__", "node_modules", "htmlcov"}
    return [
        path
        for path in root.rglob("*")
        if path.is_file()
        and not any(part in generated or part.startswith(".") for part in path.relative_to(root).parts[:-1])
    ]


def scan(paths: Iterable[Path], root: Path = ROOT) -> Iterator[Finding]:
    """Each possible secret in these files."""
    for path in paths:
        name = path.relative_to(root).as_posix()
        if FORBIDDEN_NAMES.search(name):
            yield Finding(name, 1, "a file that does not belong into a repository")
        if not path.is_file() or path.stat().st_size > LARGEST:
            continue
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), start=1):
            yield from (Finding(name, number, kind) for kind in _kinds(line))


def _kinds(line: str) -> Iterator[str]:
    for kind, pattern in KINDS.items():
        for found in pattern.finditer(line):
            secret = found.groupdict().get("secret")
            if secret is None or not EXAMPLES.search(secret):
                yield kind
                break


def main() -> int:
    """Scan what is tracked and say what was found."""
    findings = sorted(set(scan(tracked())))
    for finding in findings:
        print(finding, file=sys.stderr)  # noqa: T201 - a command's output.
    return 1 if findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
