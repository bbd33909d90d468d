"""Names of secrets in texts: access keys, tokens, private keys and assigned passwords.

A found secret is a place in a text and a kind, never its value: callers count it or mask it, and
nothing here puts it into a message. The forms are those their makers document:

| kind | form |
|---|---|
| aws_key | access key id: AKIA or ASIA and 16 of A-Z, 2-7 (AWS IAM user guide, "IAM identifiers"); those that end in EXAMPLE are the manual's own |
| github_token | ghp_, gho_, ghu_, ghs_, ghr_ and 36 or more letters and digits, or github_pat_ (GitHub docs, "Authentication") |
| slack_token | xoxb-, xoxp- and their like (Slack docs, "Token types") |
| google_key, stripe_key | AIza and 35 more; sk_live_ or rk_live_ and 16 or more |
| private_key | a PEM header of a private key (RFC 7468), with the block that follows |
| jwt | three parts, the first a JSON object that names its `alg` (RFC 7519, RFC 7515) |
| url_password | the password in `scheme://user:password@host` (RFC 3986, 3.2.1) |
| assignment | the value in `password = ...` and its like, unless it is a placeholder |

Not covered: secrets without a form of their own (most API keys) that stand alone, passwords told
in prose ("my password is rosebud"), and whether a key is still valid.
"""  # noqa: E501

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

import orjson
import polars as pl

Span = tuple[int, int]

_FIXED = {
    "aws_key": r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?<!EXAMPLE)(?![A-Za-z0-9])",
    "github_token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{50,255})\b",
    "slack_token": r"\bxox[abeoprs]-[0-9A-Za-z\-]{10,250}",
    "google_key": r"\bAIza[0-9A-Za-z_\-]{35}(?![0-9A-Za-z_\-])",
    "stripe_key": r"\b[sr]k_live_[0-9A-Za-z]{16,250}\b",
    "private_key": (
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[\sA-Za-z0-9+/=:,.\-]{0,20000}?-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        r"|(?:\s*[A-Za-z0-9+/=]{32,})*)"
    ),
    "jwt": r"\beyJ[\w\-]{8,}\.eyJ[\w\-]{2,}\.[\w\-]*",
}
_FOUND = {kind: re.compile(pattern) for kind, pattern in _FIXED.items()}
_URL = re.compile(r"\b[A-Za-z][A-Za-z0-9+.\-]{1,20}://[^\s:/@]{0,100}:([^\s/@]{3,200})@")
_ASSIGNED = re.compile(
    r"(?i)(?<![a-z0-9])(?:[a-z0-9]{1,30}[_\-.]){0,4}"
    r"(?:passwords?|passwd|passphrase|pwd|secret|(?:api|access|secret|private)[_\-]?key|"
    r"(?:access|auth|api|bearer|refresh|secret)[_\-]?token|token)"
    r"[\"']?[ \t]{0,4}(?:=>|:=|=|:)[ \t]{0,4}"
    r"(?:\"([^\"\s]{6,200})\"|'([^'\s]{6,200})'|([^\s\"'<>\[\](){}$*,;]{6,200}))"
)
# What stands where a secret would: never one itself.
_PLACEHOLDER = re.compile(
    r"(?i)^(?:.*(?:example|placeholder|changeme|change_me|your|xxxx|\*\*\*|\.\.\.|redacted|dummy)"
    r".*|password.{0,2}|passwd|secret|required|optional|string|undefined|null|none|true|false|"
    r"[<{$%\[(].*|(?:os|env|process|config|settings|self|args)[.\[(].*|.*://.*)$"
)
_LONG = 10  # a quoted word of letters alone is a passphrase from here on
# One pass for any of these decides which texts are looked at closely.
_MARKS = [
    "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "AIza", "k_live_",
    "PRIVATE KEY", "eyJ", "password", "passwd", "passphrase", "pwd", "secret", "token", "api_key",
    "apikey", "api-key", "access_key", "accesskey", "access-key", "private_key",
]  # fmt: skip
# What all that `find` finds holds beside such a mark: the mark's own letters, or a sign that assigns.
_CLOSE = (
    r"AKIA|ASIA|gh[pousr]_|github_pat_|xox|AIza|k_live_|PRIVATE KEY|eyJ"
    r"|(?i:passwords?|passwd|passphrase|pwd|secret|key|token)[\"']?[ \t]{0,4}[:=]"
)
_LOGIN = r"://[^\s/@:]{0,100}:[^\s/@]{3,200}@"


def suspects(texts: pl.Series) -> pl.Series:
    """Texts that may hold a secret: a cheap test before `find`."""
    marked = texts.str.contains_any(_MARKS, ascii_case_insensitive=True)
    marked = marked.fill_null(False) | texts.str.contains("://", literal=True).fill_null(False)
    rows = marked.arg_true()
    if not len(rows):
        return marked
    return marked.scatter(rows, texts.gather(rows).str.contains(f"{_CLOSE}|{_LOGIN}"))


def find(text: str) -> list[Span]:
    """Places of secrets, in order, none overlapping another."""
    return [span for _, span in kinds(text)]


def kinds(text: str) -> list[tuple[str, Span]]:
    """Kind and place of each secret, in order, none overlapping another."""
    found = sorted(_candidates(text), key=lambda item: (item[1][0], -item[1][1]))
    kept: list[tuple[str, Span]] = []
    for kind, span in found:
        if not kept or span[0] >= kept[-1][1][1]:
            kept.append((kind, span))
    return kept


def _candidates(text: str) -> Iterator[tuple[str, Span]]:
    for kind, pattern in _FOUND.items():
        for match in pattern.finditer(text):
            if kind != "jwt" or _is_jwt(match.group()):
                yield kind, match.span()
    for match in _URL.finditer(text):
        if not _PLACEHOLDER.match(match.group(1)):
            yield "url_password", match.span(1)
    for match in _ASSIGNED.finditer(text):
        group = match.lastindex or 0
        if _is_value(match.group(group), quoted=group < 3):
            yield "assignment", match.span(group)


def _is_value(value: str, *, quoted: bool) -> bool:
    """Letters with digits, or a quoted word too long and odd for a placeholder."""
    if _PLACEHOLDER.match(value):
        return False
    mixed = any(c.isalpha() for c in value) and any(c.isdigit() for c in value)
    return mixed or (quoted and len(value) >= _LONG)


def _is_jwt(token: str) -> bool:
    head = token.split(".", 1)[0]
    try:
        header = orjson.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, orjson.JSONDecodeError, ValueError):
        return False
    return isinstance(header, dict) and "alg" in header
