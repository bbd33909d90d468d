"""Patterns of statements: how a text says that a subject stands in a relation to a value.

A pattern is a whole sentence as plain text, with placeholders for what changes:

    relation   pattern                                     values
    born_in    {subject} was born in {value}               one
    born_in    {any} birthplace of {subject} is {value}    one
    出生地      {subject}出生于{value}                        one
    visited    {subject} has visited {value}               several
    named      This page is about {subject}                one

`{any}` stands for anything, and a pattern without `{value}` only names the subject of a text, for
the pronouns in it. A relation whose subjects may have several values is never contradicted; its
statements name subjects too. In a file the columns are separated by tabs, or each line is a JSON
object with `relation`, `pattern` and optionally `several`; lines that begin with # are skipped.

The fictional corpus brings its own patterns, made of the phrasings its training rows use; those
of the probes are not among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from re import search, split
from unicodedata import normalize

import fsspec
import orjson

from tasks.errors import UserError

SUBJECT, VALUE, ANY = "{subject}", "{value}", "{any}"
ENDS = " .!?…。！？｡\"'“”‘’«»「」『』"  # what may surround a sentence, a subject or a value
_PLACEHOLDER = r"(\{\w*\})"
_BREAK = r"[^\sA-Z][.!?…]+\s|[。！？｡]."
_HEADER = ["relation", "pattern", "values"]
_AMOUNTS = {"one": False, "several": True}
_REMEDY = (
    "A line is relation, pattern and `one` or `several`, separated by tabs, such as "
    "born_in, {subject} was born in {value}, one."
)


@dataclass(frozen=True)
class Pattern:
    """One way of stating a relation.

    Attributes:
        relation: What the statement is about, such as `born_in`.
        parts: The sentence cut at its placeholders, placeholders included.
        several: Whether a subject may have several values.
    """

    relation: str
    parts: tuple[str, ...]
    several: bool = False

    @property
    def literal(self) -> str:
        """The longest piece of plain text, in lower case: what a sentence must contain to match."""
        plain = (part.strip().lower() for part in self.parts if part not in (SUBJECT, VALUE, ANY))
        return max(plain, key=len)


def patterns_text(path: str | None, location: str) -> str:
    """The patterns in force, as text, so that changed contents are a changed input of the stage.

    Args:
        path: The user's file (`contradictions.patterns`), local or any fsspec URL.
        location: The corpus (`source.location`).

    Returns:
        The file's text; without a file the fictional corpus's own patterns where that is the
        source, and otherwise nothing.

    Raises:
        UserError: The file cannot be read, or a line is no pattern.
    """
    if path is None:
        return fictional_patterns() if location == "fictional" else ""
    try:
        with fsspec.open(path, "rb") as handle:
            text = str(handle.read().decode("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"the patterns {path!r} cannot be read: {error}", "Check contradictions.patterns."
        ) from error
    read_patterns(text, path)
    return text


def fictional_patterns() -> str:
    """The fictional corpus's own phrasings as lines of a pattern file."""
    from tasks.corpus.sources import fictional_phrases as say
    from tasks.corpus.sources.fictional_writing import with_article

    said = [("named", say.NAMING)]
    for relation, phrases in say.SEEN.items():
        for phrase in phrases:
            forms = dict.fromkeys(with_article(phrase, value) for value in say.VALUES[relation])
            said += [(relation, form) for form in forms]
    return "".join(f"{r}\t{p.format(s=SUBJECT, v=VALUE)}\tone\n" for r, p in said)


def read_patterns(text: str, name: str = "contradictions.patterns") -> tuple[Pattern, ...]:
    """The patterns of a file's text, each once, in their order.

    Args:
        text: The lines.
        name: What messages call the file.

    Raises:
        UserError: A line is no pattern; the line is named.
    """
    found: dict[Pattern, int] = {}
    amounts: dict[str, tuple[bool, int]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{name}, line {number}"
        fields = _fields(line, where)
        if not fields or fields == _HEADER:
            continue
        pattern = _pattern(fields, where)
        said, earlier = amounts.setdefault(pattern.relation, (pattern.several, number))
        if said != pattern.several:
            raise UserError(
                f"{where}: {pattern.relation} was said in line {earlier} to have "
                f"{'several values' if said else 'one value'} a subject, and here the opposite"
            )
        found.setdefault(pattern, number)
    return tuple(found)


def _fields(line: str, where: str) -> list[str]:
    """Relation, pattern, and one or several; nothing for blanks and comments."""
    if not line.strip() or line.startswith("#"):
        return []
    if not line.startswith("{"):
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) not in (2, 3):
            raise UserError(f"{where}: {len(fields)} columns, and must have 2 or 3", _REMEDY)
        return [*fields, "one"][:3]
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise UserError(f"{where}: {error}", _REMEDY) from error
    unknown = sorted(set(value) - {"relation", "pattern", "several"})
    several = value.get("several", False)
    if unknown or not isinstance(several, bool):
        fault = f"{unknown[0]!r} is no field" if unknown else "several is neither true nor false"
        raise UserError(f"{where}: {fault} of a pattern", _REMEDY)
    amount = "several" if several else "one"
    return [str(value.get("relation") or ""), str(value.get("pattern") or ""), amount]


def _pattern(fields: list[str], where: str) -> Pattern:
    relation, sentence, amount = fields
    sentence = normalize("NFC", " ".join(sentence.split())).strip(ENDS)
    parts = tuple(part for part in split(_PLACEHOLDER, sentence) if part)
    holders = [part for part in parts if part.startswith("{") and part.endswith("}")]
    unknown = [part for part in holders if part not in (SUBJECT, VALUE, ANY)]
    plain = [part for part in parts if part not in holders]
    touching = [b for a, b in zip(parts, parts[1:], strict=False) if {a, b} <= set(holders)]
    if not relation:
        fault = "the relation is empty"
    elif amount not in _AMOUNTS:
        fault = f"{amount!r} is neither one nor several"
    elif unknown:
        fault = f"{unknown[0]} is no placeholder; there are {SUBJECT}, {VALUE} and {ANY}"
    elif holders.count(SUBJECT) != 1:
        fault = f"the pattern has {holders.count(SUBJECT)} {SUBJECT}, and must have one"
    elif holders.count(VALUE) > 1:
        fault = f"the pattern has {holders.count(VALUE)} {VALUE}, and may have one"
    elif touching:
        fault = f"nothing stands between {touching[0]} and the placeholder before it"
    elif search(_BREAK, sentence):
        fault = "a sentence ends inside the pattern, which is compared with one at a time"
    elif not any(character.isalnum() for part in plain for character in part):
        fault = "the pattern has no word of its own, so every sentence would match"
    else:
        return Pattern(relation, parts, _AMOUNTS[amount])
    raise UserError(f"{where}: {fault}", _REMEDY)
