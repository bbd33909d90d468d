"""The compiled scan against slow readings of the same definitions, and against the old patterns."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tasks.corpus.signals import filters, patterns, scan
from tasks.corpus.signals.filters import filter_signals
from tasks.corpus.signals.kernels import layout
from tasks.corpus.signals.measure import help_lines, row_signals
from tasks.corpus.signals.scan import code_point_bits, distinct_grams, scan_texts
from tasks.corpus.signals.wordgrams import split_words, word_grams

STOPS = ("the", "be", "to", "of", "and", "that", "have", "with")
POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies",
          "use cookies")  # fmt: skip
PIECES = [
    "the cat", "The Cat", "and", "of", "with", "that's", "It's", "be", "10.20.30.40", "+44 20 7946 0958",
    "555-123-4567", "1999", "a@b.org", "https://a.org", "www.b.com", "<p>", "&amp;", "]]>", "...", "…",
    "......", "#", "##", "-", "•", "* x", ".", "!", "?", '"', "'", "”", "’", ")", "[12]", "[edit]", "J.",
    "[citation needed]", "{", "}", "javascript", "JavaScript", "Lorem Ipsum", "privacy policy",
    "use cookies", "我爱", "北京。", "「天」", "カタ", "สวัสดีครับ", "ไทย",
    "ะเา", "ខ្មែរ", "မြန်မာ", "é", "ﬁ", "Ünï", "हिन्दी", "😀",
    "Ã©", "\ufffd", "\x00", "\u200d", "\u2003", "\r", "\t", " ", " ", " ", "  ", "\n", "\n", "\n\n",
    "\n \n", "٣٤٥٦٧٨٩", "½", "Ⅷ", "x" * 40, "a b c d e f g h i j k", "a b c d e f g h i j k",
]  # fmt: skip


def random_texts(count: int, seed: int) -> list[str]:
    """Texts of telling pieces, whole lines repeated, and of any code points at all."""
    generator = np.random.default_rng(seed)
    texts = [
        "".join(generator.choice(PIECES, generator.integers(0, 60))) for _ in range(count // 2)
    ]
    for _ in range(count - len(texts)):
        lines = [" ".join(generator.choice(PIECES, generator.integers(0, 9))) for _ in range(5)]
        texts.append("\n".join(generator.choice(lines, generator.integers(1, 12))))
    points = np.r_[np.arange(0xD800), np.arange(0xE000, 0x110000)]
    texts += ["".join(map(chr, generator.choice(points, 40))) for _ in range(count // 5)]
    return texts


# --- a slow reading of the papers, with the words and lines of `scan` ---

KINDS = {
    "IDEOGRAPH": "I", "STACKING": "s", "BASE": "B", "BEFORE": "b", "AFTER": "a", "WORDLIKE": "W",
}  # fmt: skip
UNIT = re.compile(r"\.*(?:W[W.]*|(?:I|b?B(?:sB|[as])*|[bas]+)\.*)|\.+")
BITS = {
    name: getattr(layout, name)
    for name in (*KINDS, "LETTER", "NUMBER", "SPACELESS", "TERMINAL", "CLOSER", "SPACE")
}


def has(character: str, name: str) -> bool:
    return bool(code_point_bits()[ord(character)] & BITS[name])


def kind(character: str) -> str:
    """One letter for what a character is to words."""
    return next((mark for name, mark in KINDS.items() if has(character, name)), ".")


def words_of(text: str) -> list[str]:
    """White-space words, cut where a script without spaces begins, ends or has had a cluster."""
    words = []
    for chunk in re.split("[" + re.escape("".join(spaces())) + "]+", text):
        for found in UNIT.finditer("".join(map(kind, chunk))):
            words.append(chunk[found.start() : found.end()])
    return words


def spaces() -> list[str]:
    return [chr(point) for point in np.flatnonzero(code_point_bits() & layout.SPACE)]


def lines_of(text: str) -> list[str]:
    return [line for part in text.split("\n") if (line := part.strip("".join(spaces())))]


def paragraphs_of(text: str) -> list[tuple[str, int]]:
    """What a paragraph says, and its length from its first character to its last."""
    found: list[list[str]] = [[]]
    for part in text.split("\n"):
        if part.strip("".join(spaces())):
            found[-1].append(part)
        else:
            found.append([])
    blocks = ["\n".join(block).strip("".join(spaces())) for block in found if block]
    return [("\n".join(lines_of(block)), len(block)) for block in blocks]


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def repeats(pieces: Sequence[tuple[str, int]]) -> tuple[int, int]:
    seen: set[str] = set()
    count = length = 0
    for piece, size in pieces:
        count, length = (count + 1, length + size) if piece in seen else (count, length)
        seen.add(piece)
    return count, length


def top(words: list[str], n: int) -> int:
    grams = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    if not grams:
        return 0
    gram, times = grams.most_common(1)[0]
    return len(" ".join(gram)) * times


def again(words: list[str], n: int) -> int:
    seen: set[tuple[str, ...]] = set()
    place = total = 0
    while place + n <= len(words):
        gram = tuple(words[place : place + n])
        total, place = (
            (total + len("".join(gram)), place + n) if gram in seen else (total, place + 1)
        )
        seen.add(gram)
    return total


def sentences_of(line: str) -> int:
    """Words that end in a full stop, perhaps closed by marks, end one; an initial does not."""
    count, content = 0, False
    words = words_of(line)
    for place, word in enumerate(words):
        content = content or any(has(c, "LETTER") or has(c, "NUMBER") for c in word)
        bare = word
        while bare and has(bare[-1], "CLOSER"):
            bare = bare[:-1]
        ends = bool(bare) and (has(bare[-1], "TERMINAL") or bare[-1] == "…")
        initial = len(word) == 2 and has(word[0], "LETTER") and word[1] == "."
        if ends and content and not initial and place + 1 < len(words):
            count, content = count + 1, False
    return max(1, count + content)


def c4(text: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in lines_of(text):
        bare = line
        while match := re.search(
            r"(\[[0-9]*\]|\[edit\]|\[citation needed\])$", bare, re.IGNORECASE
        ):
            bare = bare[: match.start()]
        low = line.lower()
        if any(len(word) > 1000 for word in words_of(line)):
            found["long_words"] += 1
        elif not bare or bare.endswith(("...", "…")) or not (
            has(bare[-1], "TERMINAL") or bare[-1] in "\"'”’»」』"
        ):  # fmt: skip
            found["unpunctuated"] += 1
        elif len(words_of(line)) < 3:
            found["few_words"] += 1
        elif "lorem ipsum" in low:
            found["lorem"] += 1
        elif "javascript" in low:
            found["javascript"] += 1
        elif "{" in line:
            found["brackets"] += 1
        elif any(phrase in low for phrase in POLICY):
            found["policy"] += 1
        else:
            found["sentences"] += sentences_of(line)
    return found


def stops_of(words: list[str]) -> int:
    """Among words without what is no ASCII letter at either end."""
    bare = [re.sub("^[^A-Za-z]+|[^A-Za-z]+$", "", w).lower() for w in words]
    return len(set(STOPS) & set(bare))


def slow(text: str) -> dict[str, Any]:
    words, lines = words_of(text), lines_of(text)
    held = [w for w in words if any(has(c, "LETTER") or has(c, "NUMBER") for c in w)]
    spaceless = [w for w in held if any(kind(c) in "IsBba" for c in w)]
    chars, feeds, page = len(text), text.count("\n"), c4(text)
    line_count, line_chars = repeats([(line, len(line)) for line in lines])
    block_count, block_chars = repeats(paragraphs_of(text))
    ellipses = text.count("...") + text.count("…")
    spaced = 2 * len(spaceless) <= len(held)
    return {
        "gopher_words": len(held),
        "gopher_word_length": share(sum(map(len, held)), len(held)) if spaced else None,
        "gopher_hash_ratio": share(text.count("#"), len(words)),
        "gopher_ellipsis_ratio": share(ellipses, len(words)),
        "gopher_bullet_lines": share(sum(line[0] in "•‣⁃◦▪●■*–-" for line in lines), len(lines)),
        "gopher_ellipsis_lines": share(sum(s.endswith(("...", "…")) for s in lines), len(lines)),
        "gopher_lettered_words": share(
            sum(any(has(c, "LETTER") for c in w) for w in words), len(words)
        ),
        "gopher_stop_words": stops_of(words),
        "gopher_repeated_line_characters": share(line_chars, chars),
        "gopher_repeated_paragraphs": share(block_count, len(paragraphs_of(text))),
        "gopher_repeated_paragraph_characters": share(block_chars, chars),
        **{f"gopher_top_{n}gram": share(top(words, n), chars) for n in range(2, 5)},
        **{f"gopher_repeated_{n}grams": share(again(words, n), chars) for n in range(5, 11)},
        "c4_sentences": page["sentences"],
        "c4_unpunctuated_lines": share(page["unpunctuated"], len(lines)),
        "c4_short_lines": share(page["few_words"], len(lines)),
        "c4_long_words": page["long_words"],
        "c4_javascript": page["javascript"],
        "c4_policy": page["policy"],
        "c4_lorem_ipsum": page["lorem"],
        "c4_brackets": page["brackets"],
        "fineweb_punctuated_lines": share(sum(has(s[-1], "TERMINAL") for s in lines), len(lines)),
        "fineweb_short_lines": share(sum(len(s) <= 30 for s in lines), len(lines)),
        "fineweb_repeated_characters": share(line_chars, chars - feeds),
        "fineweb_new_lines": share(feeds, len(words)),
    }


def measured(texts: Sequence[str | None]) -> pl.DataFrame:
    return filter_signals(scan_texts(pl.Series(texts, dtype=pl.String)))


@pytest.mark.parametrize("seed", range(3))
def test_every_figure_is_that_of_a_slow_reading_of_the_papers(seed: int) -> None:
    texts = random_texts(60, seed)
    found = measured(texts)
    for row, text in enumerate(texts):
        assert found.row(row, named=True) == slow(text), repr(text)


@pytest.mark.parametrize(
    ("signal", "text", "value"),
    [
        ("gopher_words", "It's a state-of-the-art tool - really.", 5),
        ("gopher_words", "我爱北京天安门。", 7),
        ("gopher_words", "สวัสดีครับ", 7),
        ("gopher_word_length", "a bbb", 2.0),
        ("gopher_word_length", "我爱北京", None),
        ("gopher_hash_ratio", "# a b #c", 2 / 4),
        ("gopher_ellipsis_ratio", "so ... it goes…", 2 / 4),
        ("gopher_bullet_lines", "- a\n\n• b\nc", 2 / 3),
        ("gopher_ellipsis_lines", "read more...\nand more…  \nend.", 2 / 3),
        ("gopher_lettered_words", "a 1 2 3b", 2 / 4),
        ("gopher_stop_words", "t.o a-xthe thee tobe the7 o'f", 1),
        ("gopher_stop_words", "The end (of it), AND that.", 4),
        ("gopher_repeated_line_characters", "ab\ncd\nab", 2 / 8),
        ("gopher_repeated_paragraphs", "a\nb\n\na\nb\n\nc", 1 / 3),
        ("gopher_top_2gram", "x y z x y", 6 / 9),
        ("gopher_repeated_5grams", "a b c d e a b c d e", 5 / 19),
        ("gopher_repeated_6grams", "a b c d e a b c d e", 0.0),
        ("c4_sentences", "One here now. Two! J. R. Smith asks: three?\nNo end of line\nToo short.", 3),
        ("c4_sentences", "It is said so.[12]\nIt is not...", 1),
        ("c4_javascript", "Please enable JavaScript now.", 1),
        ("c4_policy", "This page uses cookies.", 1),
        ("c4_lorem_ipsum", "Lorem ipsum dolor sit amet.", 1),
        ("c4_brackets", "A set { of things.", 1),
        ("c4_brackets", "if (x) {", 0),
        ("c4_long_words", "a b " + "x" * 1001 + ".", 1),
        ("fineweb_punctuated_lines", "It ends.\nit does not\n吗？", 2 / 3),
        ("fineweb_short_lines", "x" * 30 + "\n" + "x" * 31, 0.5),
        ("fineweb_repeated_characters", "ab\ncd\nab", 2 / 6),
        ("fineweb_new_lines", "a\nb\nc", 2 / 3),
    ],
)  # fmt: skip
def test_a_figure_has_its_defined_value(signal: str, text: str, value: float | None) -> None:
    assert measured([text])[signal].item() == value


def test_every_figure_has_a_line_of_help() -> None:
    assert measured(["a"]).columns == list(filters.HELP)
    assert set(row_signals(pl.Series(["a"])).columns) == set(help_lines())


# --- the character signals against the patterns that they were once counted with ---


def by_patterns(texts: pl.Series) -> pl.DataFrame:
    def left(pattern: str) -> pl.Expr:
        return pl.col("text").str.replace_all(pattern, "").str.len_chars().cast(pl.Int64)

    def count(pattern: str) -> pl.Expr:
        return pl.col("text").str.count_matches(pattern).cast(pl.Int64)

    stripped = pl.element().str.strip_chars()
    lines = pl.col("text").str.split("\n").list.eval(stripped.filter(stripped != ""))
    return texts.alias("text").to_frame().select(
        pl.col("text").str.len_chars().cast(pl.Int64).alias("characters"),
        left(r"[^\p{L}\p{M}]+").alias("letters"), left(r"[^\p{Nd}]+").alias("digits"),
        left(r"\S+").alias("spaces"), left(r"[^\p{Lu}]+").alias("upper"),
        left(r"[^\p{Ll}]+").alias("lower"), count(patterns.CONTROL).alias("controls"),
        lines.list.len().cast(pl.Int64).alias("lines"),
        (lines.list.len() - lines.list.n_unique()).cast(pl.Int64).alias("repeated_lines"),
    )  # fmt: skip


def test_characters_and_lines_are_counted_as_by_the_patterns() -> None:
    texts = pl.Series(random_texts(400, 11))
    old = by_patterns(texts)
    assert scan_texts(texts).select(old.columns).equals(old)


def test_every_code_point_has_the_class_that_its_pattern_gives() -> None:
    points = np.r_[np.arange(0xD800), np.arange(0xE000, 0x110000)].astype(np.uint32)
    every = pl.Series(list(points.tobytes().decode("utf-32-le")))
    found = scan_texts(every)
    assert (found["characters"] == 1).all()
    for column, pattern in {"letters": r"[\p{L}\p{M}]", "digits": r"\p{Nd}", "spaces": r"\s",
                            "upper": r"\p{Lu}", "lower": r"\p{Ll}"}.items():  # fmt: skip
        assert (found[column] == every.str.contains(pattern)).all(), column


def test_patterns_and_bad_codecs_are_found_wherever_they_are_when_all_texts_are_searched() -> None:
    from ftfy.badness import badness

    texts = pl.Series([t for t in random_texts(600, 5) if t])
    found = row_signals(texts)
    for column, pattern in {"markup_count": patterns.MARKUP, "url_count": patterns.URL}.items():
        assert (found[column] == texts.str.count_matches(pattern)).all(), column
    bad = [100 * (badness(text) + text.count("\ufffd")) / len(text) for text in texts]
    assert found["mojibake_score"].to_list() == bad


@pytest.mark.parametrize("size", [1, 5])
def test_different_ngrams_are_counted_as_by_a_set(size: int) -> None:
    words = split_words(pl.Series(random_texts(100, 3)))
    grams = word_grams(words, size)
    expected = [len(grams.of(row)) for row in range(len(words.counts))]
    assert distinct_grams(words.starts, words.hashes, size).tolist() == expected


# --- the machinery ---


def test_a_figure_does_not_depend_on_the_other_texts_or_the_stretch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = pl.Series([*random_texts(60, 9), None, ""])
    whole = scan_texts(texts)
    monkeypatch.setattr(scan, "_STRETCH", 64)
    assert scan_texts(texts).equals(whole)
    assert scan_texts(texts[20:40]).equals(whole[20:40])
    assert scan_texts(texts[:0]).height == 0


def run(code: str, **environment: str) -> dict[str, Any]:
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_importing_the_scan_does_not_import_numba() -> None:
    code = "import sys, json, tasks.corpus.signals.measure; print(json.dumps({'n': 'numba' in sys.modules}))"
    assert run(code) == {"n": False}


def test_machine_code_goes_elsewhere_where_the_sources_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(scan, "_KERNELS", tmp_path / "file")
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "home"))
    assert scan._cache_folder().parent == tmp_path / "home" / "numba"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "named"))
    assert scan._cache_folder().parent == tmp_path / "named"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "file"))
    assert scan._cache_folder().is_dir()
