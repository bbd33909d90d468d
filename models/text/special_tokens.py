"""The special tokens of a tokenizer, whatever its maker called and numbered them."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer

# BERT's and ModernBERT's names, then those of RoBERTa's and of Gemma's family.
_NAMES = {
    "pad": ("[PAD]", "<pad>"),
    "unknown": ("[UNK]", "<unk>"),
    "begin": ("[CLS]", "<s>", "<cls>", "<bos>"),
    "end": ("[SEP]", "</s>", "<sep>", "<eos>"),
    "mask": ("[MASK]", "<mask>"),
}


@dataclass(frozen=True)
class SpecialTokens:
    """Token ids by what they are for.

    Attributes:
        pad: Fills a row.
        unknown: A piece of text outside the vocabulary.
        begin: Before a text.
        end: After a text.
        mask: In the place of a token to guess.
        ids: All special tokens, ascending: these five and what else the tokenizer calls special.
            None of them is ever masked, or drawn in the place of a masked token.
    """

    pad: int
    unknown: int
    begin: int
    end: int
    mask: int
    ids: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> SpecialTokens:
        """Find them by their usual names.

        Raises:
            ValueError: Some are missing; all of these are named.
        """
        found: dict[str, int] = {}
        missing = []
        for purpose, names in _NAMES.items():
            numbers = [tokenizer.token_to_id(name) for name in names]
            known = [number for number in numbers if number is not None]
            if known:
                found[purpose] = known[0]
            else:
                missing.append(f"{purpose} ({' or '.join(names)})")
        if missing:
            raise ValueError(f"the tokenizer lacks special tokens: {', '.join(missing)}")
        added = tokenizer.get_added_tokens_decoder()
        declared = {number for number, token in added.items() if token.special}
        return cls(**found, ids=tuple(sorted(declared | set(found.values()))))
