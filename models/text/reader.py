"""Text to token ids as the model reads them: `[CLS] text [SEP]`, never longer than it can take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.text.special_tokens import SpecialTokens

MASK = "[MASK]"  # how a statement is written, whatever the tokenizer calls its mask
# A token of English takes some 5 characters; what lies 16 times max_tokens in is hardly ever read.
_CHARACTERS_PER_TOKEN = 16


class Reader:
    """A tokenizer with the most tokens that are read of a text.

    Args:
        tokenizer: With the special tokens that `SpecialTokens` names; belongs to the reader.
        max_tokens: Longer texts are cut, `[CLS]` and `[SEP]` counted.

    Raises:
        ValueError: The tokenizer lacks a special token.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True  # a text that spells "[MASK]" is read as letters
        special = SpecialTokens.of(tokenizer)
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.mask, self.unknown = special.mask, special.unknown
        self._begin, self._end = special.begin, special.end

    @classmethod
    def load(cls, path: Path, max_tokens: int) -> Reader:
        """Read a `tokenizer.json`."""
        return cls(Tokenizer.from_file(str(path)), max_tokens)

    @property
    def vocabulary(self) -> int:
        """Number of subwords."""
        return int(self.tokenizer.get_vocab_size())

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """`[CLS] text [SEP]` as token ids, at most `max_tokens` of them.

        Of a long text only the beginning is tokenised, unless that turns out too short.
        """
        limit = _CHARACTERS_PER_TOKEN * self.max_tokens
        short = [text if len(text) <= limit else _cut(text, limit) for text in texts]
        rows = self.pieces(short)
        for place, (row, full) in enumerate(zip(rows, texts, strict=True)):
            if len(row) < self.max_tokens and len(short[place]) < len(full):
                rows[place] = self.pieces([full])[0]
        return [[self._begin, *row[: self.max_tokens - 2], self._end] for row in rows]

    def encode_pairs(self, firsts: Sequence[str], seconds: Sequence[str]) -> list[list[int]]:
        """`[CLS] first [SEP] second [SEP]` as token ids, at most `max_tokens` of them.

        Where the two are too long together, the longer one is cut first, and both to the same
        length if it must be: a question is not to lose its end to a long passage.
        """
        room = max(self.max_tokens - 3, 0)
        rows = []
        for a, b in zip(self._beginnings(firsts), self._beginnings(seconds), strict=True):
            right = min(len(b), max(room // 2, room - len(a)))
            left = min(len(a), room - right)
            rows.append([self._begin, *a[:left], self._end, *b[:right], self._end])
        return rows

    def encode_words(
        self, sentences: Sequence[Sequence[str]]
    ) -> tuple[list[list[int]], list[NDArray[np.int64]]]:
        """Sentences that are cut into words, as `encode` reads them with a space between words.

        A word that the tokenizer sees nothing in, such as a lone control character, is read as
        `[UNK]`, so that every word has a token to be judged by.

        Args:
            sentences: The words of each.

        Returns:
            Of each sentence its token ids, and of each of its words the place of its first token,
            or -1 where the sentence was cut before it.
        """
        texts = [_valid(" ".join(words)) for words in sentences]
        encodings = self.tokenizer.encode_batch(texts, add_special_tokens=False)
        rows, places = [], []
        for words, encoding in zip(sentences, encodings, strict=True):
            row, first = self._with_words(words, encoding.ids, encoding.offsets)
            first[first > self.max_tokens - 2] = -1
            rows.append([self._begin, *row[: self.max_tokens - 2], self._end])
            places.append(first)
        return rows, places

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of whole texts, without special tokens."""
        encodings = self.tokenizer.encode_batch_fast(
            [_valid(t) for t in texts], add_special_tokens=False
        )
        return [encoding.ids for encoding in encodings]

    def windows(
        self, texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]]
    ) -> tuple[list[int], list[list[int]], list[NDArray[np.bool_]]]:
        """Whole texts in pieces that the model can read, and which of their tokens to hide.

        Args:
            texts: Of any length.
            spans: Of each text, the (begin, end) characters to hide; a token that shares a
                character with one is hidden.

        Returns:
            Of each piece the number of its text, its token ids and what `masked_loss` hides.
        """
        owners, rows, hidden = [], [], []
        room = self.max_tokens - 2
        encodings = self.tokenizer.encode_batch(
            [_valid(t) for t in texts], add_special_tokens=False
        )
        for owner, (encoding, chosen) in enumerate(zip(encodings, spans, strict=True)):
            covered = np.zeros(len(texts[owner]) + 1, bool)
            for begin, end in chosen:
                covered[begin:end] = True
            flags = [bool(covered[begin:end].any()) for begin, end in encoding.offsets]
            for start in range(0, len(flags), room):
                rows.append([self._begin, *encoding.ids[start : start + room], self._end])
                hidden.append(np.array([False, *flags[start : start + room], False]))
                owners.append(owner)
        return owners, rows, hidden

    def around_mask(self, statement: str) -> tuple[list[int], list[int]]:
        """Token ids on either side of a statement's `[MASK]`, without special tokens.

        White space before the mask belongs to the answer, as tokenizers that keep it see it.

        Raises:
            ValueError: It has no `[MASK]`, or several.
        """
        sides = statement.split(MASK)
        if len(sides) != 2:
            raise ValueError(
                f"a statement needs exactly one {MASK}, got {len(sides) - 1}: {statement!r}"
            )
        before, after = self.pieces([sides[0].rstrip(), sides[1]])
        return before, after

    def framed(self, pieces: Sequence[int]) -> list[int]:
        """Token ids between begin and end, as the model reads them."""
        return [self._begin, *pieces, self._end]

    def with_masks(self, before: list[int], after: list[int], size: int) -> tuple[list[int], int]:
        """The row with `size` masks between two sides, and where the masks begin.

        Of a statement too long to read, what lies farthest from the masks is left out.
        """
        room = max(self.max_tokens - size - 2, 0)
        right = min(len(after), max(room // 2, room - len(before)))
        left = min(len(before), room - right)
        row = [self._begin, *before[len(before) - left :], *[self.mask] * size, *after[:right]]
        return [*row, self._end], 1 + left

    def _with_words(
        self, words: Sequence[str], ids: list[int], offsets: list[tuple[int, int]]
    ) -> tuple[list[int], NDArray[np.int64]]:
        """The ids, an `[UNK]` put in for each word without one, and where the words begin."""
        ends = np.cumsum([len(word) + 1 for word in words], dtype=np.int64)  # past the space
        tokens: list[list[int]] = [[] for _ in words]
        for number, (begin, end) in zip(ids, offsets, strict=True):
            # the last character decides: byte-level tokens begin with the space before a word
            word = int(np.searchsorted(ends, max(begin, end - 1), side="right"))
            tokens[min(word, len(words) - 1)].append(number)
        pieces = [found or [self.unknown] for found in tokens]
        starts = np.cumsum([1, *map(len, pieces)], dtype=np.int64)[:-1]  # after [CLS]
        return [number for piece in pieces for number in piece], starts

    def _beginnings(self, texts: Sequence[str]) -> list[list[int]]:
        """As much of each text as can be read, without special tokens."""
        return [row[1:-1] for row in self.encode(texts)]


def _valid(text: str) -> str:
    """The text without lone surrogates, which no tokenizer takes; lengths stay."""
    return str(text).encode("utf-8", "replace").decode()


def _cut(text: str, limit: int) -> str:
    """The text up to the last space before `limit`; the whole text if there is none."""
    end = text.rfind(" ", 0, limit)
    return text[:end] if end > 0 else text
