"""What can be put right in a text before it is judged, rule by rule, each counted.

The order matters. Markup goes first: an address in an attribute is no address of the text, and an
entity may hide half of a mojibake. Then the codec, control characters, white space (phrases are
found across single spaces), boilerplate, and last secrets and the addresses and numbers of people
in what is left.

A text without defects comes out as it went in, and repairing twice is repairing once. The
patterns are those that profile counts with.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from tasks.configuration import Cleaning
from tasks.corpus.signals import boilerplate, patterns, personal

Repair = Callable[[str], tuple[str, int]]

_EMBEDDED = re.compile(r"<(script|style)\b[^<>]*>", re.IGNORECASE)
_MARKUP = re.compile(patterns.MARKUP)
_ENTITY = re.compile(patterns.ENTITY)
_TAG = re.compile(f"{patterns.DECLARATION}|{patterns.TAG}")
# Elements inside a sentence; any other tag ends a line.
_INLINE = re.compile(
    r"</?(?:a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|ins|kbd|label|mark|q|s|"
    r"samp|small|span|strike|strong|sub|sup|time|tt|u|var|wbr)\b",
    re.IGNORECASE,
)
_BREAK = "\x1e"
_BREAKS_BEFORE_MARKS = re.compile(rf"[ \t]*{_BREAK}[\s{_BREAK}]*(?=[.,;:!?)\]])")
_BREAKS = re.compile(rf"[ \t]*{_BREAK}[\s{_BREAK}]*")
_CONTROL = re.compile(patterns.CONTROL)
_LINE_CONTROLS = re.compile("[\x0b\x0c\x1c-\x1e\x85]")
_ROUNDS = 4


@dataclass(frozen=True)
class Rule:
    """One repair.

    Attributes:
        name: What the repair is filed under.
        setting: The switch in the configuration's section `clean`.
        suspect: A cheap test for texts that may need it.
        apply: From a text to the repaired text and the number of places repaired.
    """

    name: str
    setting: str
    suspect: Callable[[pl.Series], pl.Series]
    apply: Repair


def repair(texts: pl.Series, config: Cleaning) -> tuple[pl.Series, pl.DataFrame]:
    """Repair texts.

    Args:
        texts: The texts, not null.
        config: Which repairs to make.

    Returns:
        The repaired texts, and `row` (place), `rule`, `count` (places repaired) of every repair.
    """
    made: list[tuple[int, str, int]] = []
    for rule in _RULES:
        if not getattr(config, rule.setting):
            continue
        changed: dict[int, str] = {}
        for row in rule.suspect(texts).arg_true():
            text, count = rule.apply(texts[row])
            if text != texts[row]:
                changed[row] = text
                made.append((row, rule.name, count))
        if changed:
            texts = texts.scatter(list(changed), list(changed.values()))
    schema: dict[str, Any] = {"row": pl.Int64, "rule": pl.String, "count": pl.Int64}
    return texts, pl.DataFrame(made, schema=schema, orient="row")


def strip_markup(text: str) -> tuple[str, int]:
    """Take out scripts, comments and tags, and put characters in the place of entities.

    An entity may spell a tag and a tag may join two halves of an entity, so this goes on until
    nothing is found.
    """
    total = 0
    for _ in range(_ROUNDS):
        found = len(_MARKUP.findall(text))
        if not found:
            break
        total += found
        text = _without_comments(_without_embedded(text))
        text = _TAG.sub(lambda m: "" if _INLINE.match(m.group()) else _BREAK, text)
        text = _BREAKS.sub("\n", _BREAKS_BEFORE_MARKS.sub("", text)).strip()
        text = _ENTITY.sub(lambda m: html.unescape(m.group()), text)
    return text, total


def fix_unicode(text: str) -> tuple[str, int]:
    """Undo decoding with the wrong codec, and nothing else that ftfy can do."""
    import ftfy
    from ftfy.badness import badness

    return ftfy.fix_text(text, _ftfy_settings()), max(1, badness(text))


def strip_controls(text: str) -> tuple[str, int]:
    """Vertical tabs, form feeds and record separators become line breaks; other controls go."""
    return _CONTROL.sub("", _LINE_CONTROLS.sub("\n", text)), len(_CONTROL.findall(text))


def collapse_spaces(text: str) -> tuple[str, int]:
    """One space between words, no space at the ends of lines, at most one empty line."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = re.sub(r"[^\S\n]+", " ", lines)
    lines = re.sub(r" ?\n ?", "\n", lines)
    return re.sub(r"\n{3,}", "\n\n", lines).strip(), 1


def drop_boilerplate(text: str) -> tuple[str, int]:
    """Leave out lines and sentences of a web page, if any other words remain."""
    parts = boilerplate.segments(text)
    flags = boilerplate.boilerplate_flags(parts)
    rest = "".join(part for part, flag in zip(parts, flags, strict=True) if not flag).strip()
    if not any(flags) or not re.search(r"\w", rest):
        return text, 0
    return rest, sum(flags)


def _without_embedded(text: str) -> str:
    """Scripts and style sheets, with their content; one that is never closed loses its tag only."""
    parts, end = [], 0
    lower = text.lower()
    for opening in _EMBEDDED.finditer(text):
        close = lower.find(f"</{opening.group(1).lower()}", opening.end())
        if opening.start() < end or close < 0:
            continue
        parts.append(text[end : opening.start()])
        end = (lower.find(">", close) + 1) or len(text)
    return "".join([*parts, text[end:]])


def _without_comments(text: str) -> str:
    """Comments; one that is never closed loses its opening mark only, with the other tags."""
    parts, end = [], 0
    while (start := text.find("<!--", end)) >= 0 and (close := text.find("-->", start)) >= 0:
        parts.append(text[end:start])
        end = close + len("-->")
    return "".join([*parts, text[end:]])


@cache
def _ftfy_settings() -> Any:
    from ftfy import TextFixerConfig

    return TextFixerConfig(
        unescape_html=False, remove_terminal_escapes=False, fix_latin_ligatures=False,
        fix_character_width=False, uncurl_quotes=False, fix_line_breaks=False,
        remove_control_chars=False, normalization=None, explain=False,
    )  # fmt: skip


def _contains(pattern: str) -> Callable[[pl.Series], pl.Series]:
    return lambda texts: texts.str.contains(pattern)


def _misread(texts: pl.Series) -> pl.Series:
    """Texts that ftfy counts any badness in; ASCII has none."""
    from ftfy.badness import badness

    suspects = texts.str.contains(r"[^\x00-\x7f]").arg_true()
    bad = [row for row in suspects if badness(texts[row])]
    return pl.zeros(len(texts), pl.Boolean, eager=True).scatter(bad, True)


_UNTIDY = r"[^\S\n ]|  |^\s|\s$| \n|\n |\n\n\n"
_RULES = (
    Rule("markup", "strip_markup", _contains(patterns.MARKUP), strip_markup),
    Rule("mojibake", "fix_unicode", _misread, fix_unicode),
    Rule("control_characters", "strip_controls", _contains(patterns.CONTROL), strip_controls),
    Rule("spaces", "collapse_spaces", _contains(_UNTIDY), collapse_spaces),
    Rule("boilerplate", "drop_boilerplate", boilerplate.candidates, drop_boilerplate),
    *(Rule(kind.name, "mask_pii", kind.suspects, kind.mask) for kind in personal.KINDS),
)
