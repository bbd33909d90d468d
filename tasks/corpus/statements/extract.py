"""Statements in texts: which subject is said to stand in which relation to which value.

A text is cut into sentences at line breaks, at . ! ? before a space unless a capital letter stands
before the mark (so `J. Smith` stays whole), and at the full stops of Chinese and Japanese. A
pattern must match a whole sentence, whatever its capitals; a further clause after a comma, colon,
semicolon, bracket or dash may follow, and no placeholder reaches over one of those. In scripts
that mark no sentences a line is one.

A pronoun in the place of the subject stands for the only subject that the text's statements name.
Where they name several or none, such a statement is left out.

Subjects and values count as equal if they are after NFKC, in lower case, without marks around them
and with one space for any white space.

Not covered: statements in other words than the patterns', across sentences, negated or reported
ones that happen to match, one person under two names, and namesakes.

Cost: one search for all patterns' own words per text (Aho-Corasick); only sentences that contain
some are read further, by one regular expression a relation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from tasks.corpus.statements.fact_patterns import ANY, ENDS, SUBJECT, VALUE, Pattern

SCHEMA: dict[str, type[pl.DataType]] = {
    "row": pl.Int64, "relation": pl.String, "subject": pl.String, "value": pl.String,
    "subject_key": pl.String, "value_key": pl.String, "sentence": pl.String, "wording": pl.String,
}  # fmt: skip
# Third person in English, German, French, Spanish, Chinese and Japanese, without those that are
# also names in use (Ella, Elle).
PRONOUNS = (
    "he she it they er sie es il ils elles on él ellos ellas 他 她 它 他们 她们 他們 她們 彼 彼女 彼ら"
).split()
_STOP = r"([^\s\p{Lu}][.!?…]+[\"'”’»)\]]*)([^\S\n]+)"
_WIDE_STOP = r"([。！？｡]+[”’」』）]*)"
_SPACES = r"[^\S\n]+"
_BREAKS = ((_STOP, "${1}\n"), (_WIDE_STOP, "${1}\n"), (_SPACES, " "))
_CUT = "\x1e"  # a control that repaired text has none of
_CLAUSE = "[;(，；：（、—]|[,:](?:[^0-9]|$)"  # `1,941` and `12:30` go on
_PLACED = "(?:[^,;:(，；：（、—]|[,:][0-9])+?"
_LONGEST_SENTENCE = 400  # characters; longer ones are lists or lay-out
_LONGEST_NAME = 80
_ROWS_AT_ONCE = 20_000
_PATTERNS_AT_ONCE = 100  # in one regular expression, which the engine's size limit allows for


def find_statements(texts: pl.Series, patterns: Sequence[Pattern]) -> pl.DataFrame:
    """Every statement that a pattern recognises, in the order of the texts.

    Args:
        texts: The texts.
        patterns: How statements are phrased.

    Returns:
        `row` (place of the text), `relation`, `subject` and `value` as written, the keys by which
        they are compared, the `sentence`, and its `wording`: what the sentence says whoever and
        whatever it is about. Pronouns are resolved. Statements of relations with
        several values are not returned.
    """
    if not patterns:
        return pl.DataFrame(schema=SCHEMA)
    parts = [
        _in_part(texts.slice(start, _ROWS_AT_ONCE), start, patterns)
        for start in range(0, len(texts), _ROWS_AT_ONCE)
    ]
    found = pl.concat([pl.DataFrame(schema=SCHEMA), *parts])
    single = [p.relation for p in patterns if not p.several and VALUE in p.parts]
    stated = pl.col("relation").is_in(single) & (pl.col("value_key") != "")
    return _resolved(found).filter(stated & (pl.col("value").str.len_chars() <= _LONGEST_NAME))


def sentences_of(text: str) -> list[tuple[str, str]]:
    """A text cut where `find_statements` cuts it.

    Returns:
        Pieces that make up the text when joined, white space and all, each with the sentence that
        `find_statements` would give for it.
    """
    marked = pl.Series([text]).str.replace_all(_STOP, f"${{1}}${{2}}{_CUT}")
    marked = marked.str.replace_all(_WIDE_STOP, f"${{1}}{_CUT}").str.replace_all("\n", f"\n{_CUT}")
    pieces = marked.str.split(_CUT).explode()
    plain = pieces.str.normalize("NFC").str.replace_all(_SPACES, " ").str.strip_chars(f"{ENDS}\n")
    return list(zip(pieces, plain, strict=True))


def _in_part(texts: pl.Series, start: int, patterns: Sequence[Pattern]) -> pl.DataFrame:
    literals = sorted({pattern.literal for pattern in patterns})
    frame = texts.fill_null("").alias("sentence").to_frame().with_row_index("row", offset=start)
    told = frame.filter(_contains(literals))
    cut = pl.col("sentence").str.normalize("NFC")
    for pattern, put in _BREAKS:
        cut = cut.str.replace_all(pattern, put)
    sentences = (
        told.select("row", cut.str.split("\n"))
        .explode("sentence", empty_as_null=True)
        .with_columns(pl.col("sentence").str.strip_chars(ENDS))
        .filter(pl.col("sentence").str.len_chars().is_between(1, _LONGEST_SENTENCE))
        .filter(_contains(literals))
    )
    relations = dict.fromkeys(pattern.relation for pattern in patterns)
    found = [
        _of_relation(sentences, [p for p in patterns if p.relation == relation])
        for relation in relations
    ]
    return pl.concat(found).sort("row", maintain_order=True)


def _contains(literals: list[str]) -> pl.Expr:
    return pl.col("sentence").str.to_lowercase().str.contains_any(literals)


def _of_relation(sentences: pl.DataFrame, patterns: Sequence[Pattern]) -> pl.DataFrame:
    """The statements of one relation; of several patterns that match the first counts."""
    some = sentences.filter(_contains(sorted({p.literal for p in patterns})))
    if some.is_empty():  # compiling for nothing is what many patterns would cost
        return pl.DataFrame(schema=SCHEMA)
    groups = [
        patterns[i : i + _PATTERNS_AT_ONCE] for i in range(0, len(patterns), _PATTERNS_AT_ONCE)
    ]
    captured = [pl.col("sentence").str.extract_groups(_expression(group)) for group in groups]
    subject = [
        c.struct.field(f"s{i}")
        for c, g in zip(captured, groups, strict=True)
        for i in range(len(g))
    ]
    value = [
        c.struct.field(f"v{i}")
        for c, group in zip(captured, groups, strict=True)
        for i, pattern in enumerate(group)
        if VALUE in pattern.parts
    ]
    return (
        some.select(
            pl.col("row").cast(pl.Int64),
            pl.lit(patterns[0].relation).alias("relation"),
            pl.coalesce(subject).str.strip_chars(ENDS).alias("subject"),
            pl.coalesce([*value, pl.lit("")]).str.strip_chars(ENDS).alias("value"),
            "sentence",
        )
        .with_columns(
            folded("subject").alias("subject_key"),
            folded("value").alias("value_key"),
            _wording().alias("wording"),
        )
        .filter(pl.col("subject_key").str.len_chars().is_between(1, _LONGEST_NAME))
        .select(list(SCHEMA))
    )


def _wording() -> pl.Expr:
    """The sentence in lower case with nothing in the places of its value and subject."""
    said = pl.col("sentence").str.split(pl.col("value")).list.join(VALUE)
    return said.str.split(pl.col("subject")).list.join(SUBJECT).str.to_lowercase()


def _expression(patterns: Sequence[Pattern]) -> str:
    """One regular expression, with the groups s0, v0, s1, v1 and so on, for Rust's engine."""
    bodies = []
    for number, pattern in enumerate(patterns):
        holders = {
            SUBJECT: rf"(?P<s{number}>{_PLACED})",
            VALUE: rf"(?P<v{number}>{_PLACED})",
            ANY: ".+?",
        }
        bodies.append("".join(holders.get(part) or _escaped(part) for part in pattern.parts))
    return rf"(?i)^(?:{'|'.join(bodies)})(?:\s*(?:{_CLAUSE}).*)?$"


def _escaped(plain: str) -> str:
    return re.escape(plain).replace("\\ ", " ")


def folded(column: str) -> pl.Expr:
    """The form in which subjects and values are compared."""
    spaced = pl.col(column).str.normalize("NFKC").str.to_lowercase().str.replace_all(r"\s+", " ")
    return spaced.str.strip_chars(ENDS)


def _resolved(found: pl.DataFrame) -> pl.DataFrame:
    """Pronouns in the place of subjects, where their text names one subject, by that one."""
    pronoun = pl.col("subject_key").is_in(PRONOUNS)
    names = (
        found.filter(~pronoun)
        .group_by("row")
        .agg(pl.col("subject_key").unique().alias("keys"), pl.col("subject").first().alias("name"))
        .filter(pl.col("keys").list.len() == 1)
        .select("row", "name", pl.col("keys").list.first().alias("key"))
    )
    both = found.join(names, on="row", how="left", maintain_order="left")
    return (
        both.with_columns(
            pl.when(pronoun).then("name").otherwise("subject").alias("subject"),
            pl.when(pronoun).then("key").otherwise("subject_key").alias("subject_key"),
        )
        .drop_nulls("subject_key")
        .select(list(SCHEMA))
    )
