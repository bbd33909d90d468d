"""A WordPiece vocabulary that is the same, byte for byte, whenever the text is the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl
from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from tasks.errors import UserError

if TYPE_CHECKING:
    from models.text.special_tokens import SpecialTokens

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # ids 0 to 4
PREFIX = "##"  # before a piece that continues a word
_LONGEST_RUN = 64  # characters without a space that are taken as one word
_MIN_FREQUENCY = 2


def learn(texts: pl.Series, size: int, *, lowercase: bool) -> Tokenizer:
    """Learn a vocabulary from texts and return the tokenizer that uses it.

    The trainer of `tokenizers` numbers the pieces that continue a word in the order of a hash map,
    which differs from run to run, and breaks ties between merges by those numbers. So the
    alphabet is counted here, sorted, and given to the trainer as tokens it must start with.

    Args:
        texts: One string a row, no nulls.
        size: Most entries; fewer come out when the text is small.
        lowercase: Whether case is folded.
    """
    alphabet, continuing = _alphabet(texts, size // 4, lowercase=lowercase)
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=_MIN_FREQUENCY,
        special_tokens=[*SPECIALS, *(PREFIX + letter for letter in continuing)],
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        continuing_subword_prefix=PREFIX,
        show_progress=False,
    )
    trained = _with_rules(Tokenizer(models.WordPiece(unk_token="[UNK]")), lowercase=lowercase)
    trained.train_from_iterator(texts.to_list(), trainer)
    vocabulary = trained.get_vocab()
    final = _with_rules(
        Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]")),
        lowercase=lowercase,
    )
    final.add_special_tokens(list(SPECIALS))
    begin, end = ("[CLS]", SPECIALS.index("[CLS]")), ("[SEP]", SPECIALS.index("[SEP]"))
    final.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[begin, end]
    )
    final.decoder = decoders.WordPiece(prefix=PREFIX)
    return final


def special_tokens(tokenizer: Tokenizer) -> SpecialTokens:
    """The ids of a tokenizer's special tokens by what they are for.

    Raises:
        UserError: The tokenizer lacks one.
    """
    from models.text.special_tokens import SpecialTokens

    try:
        return SpecialTokens.of(tokenizer)
    except ValueError as error:
        raise UserError(
            str(error), "Start from a masked language model that has them, or from scratch."
        ) from error


def _with_rules(tokenizer: Tokenizer, *, lowercase: bool) -> Tokenizer:
    """Set how text is normalised and cut into words: BERT's rules, accents kept.

    Text without spaces would be one endless word, so a run of letters is cut into pieces too.
    """
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.NFC(),
        normalizers.BertNormalizer(
            clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=lowercase
        ),
    ])  # fmt: skip
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.BertPreTokenizer(),
        pre_tokenizers.Split(Regex(rf".{{{_LONGEST_RUN}}}"), "isolated"),
    ])  # fmt: skip
    return tokenizer


def _alphabet(texts: pl.Series, most: int, *, lowercase: bool) -> tuple[list[str], list[str]]:
    """The commonest characters, and those of them that occur inside a word, both sorted."""
    rules = _with_rules(Tokenizer(models.WordPiece(unk_token="[UNK]")), lowercase=lowercase)
    runs = texts.str.extract_all(r"\S+").explode().drop_nulls().value_counts()
    letters: Counter[str] = Counter()
    inside: set[str] = set()
    for run, count in runs.iter_rows():
        for word, _ in rules.pre_tokenizer.pre_tokenize_str(rules.normalizer.normalize_str(run)):
            for letter in word:
                letters[letter] += count
            inside.update(word[1:])
    commonest = sorted(letters, key=lambda letter: (-letters[letter], letter))[:most]
    return sorted(commonest), sorted(inside & set(commonest))


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, without `[CLS]` and `[SEP]`.

    A text that spells out a special token, such as `[MASK]`, is read as those letters.
    """
    tokenizer.encode_special_tokens = True
    batch = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return [encoding.ids for encoding in batch]
