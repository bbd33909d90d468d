"""Synonym copies: the same text in other words.

Works with nothing but this repository: `synonyms.tsv` is our own list, one group of
interchangeable words a line, each with its inflected forms in fixed slots, so that an exchange
keeps the grammar. Three rules keep the meaning:

- A form marked `*` is only ever put in, never taken out: "start" may replace "begin", but "start"
  itself is also a noun, a part of a name and more.
- A form that stands in several slots ("started" is past and participle, "fascinating" adjective
  and verb) is exchanged only for what fits all of them; so no part-of-speech tagger is needed.
- Names, numbers, negations and words that touch a digit or a sign stay as they are.

More can come from a WordNet (`config.wordnet`), whose stock use makes poor training data ("the
friendly stave", "waste of clip"): it picks any sense of a word. So only words with a single sense
are taken from it, as adjective, adverb or regular noun; verbs are left out for want of their forms.

TextAttack's augmenters do the same job, but importing it takes 5 to 8 s and 380 MB (it loads
torch, transformers and flair), its WordNet needs a download, and it exchanges words without
inflecting them. It is kept for the attacks, which are its own field.

Not covered: collocations ("strong tea"), registers, languages other than English.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from tasks.augmentation.words import Word, in_case_of, rewrite, words

SYNONYMS = Path(__file__).with_name("synonyms.tsv")
Lexicon = Mapping[str, tuple[str, ...]]


def exchange(
    text: str, lexicon: Lexicon, *, share: float, generator: np.random.Generator
) -> str | None:
    """The text with some of its words exchanged for synonyms.

    Args:
        text: The original.
        lexicon: Word -> what may stand for it.
        share: How many of the text's words to exchange; at least one where any can be.
        generator: Chooses the words and the synonyms.

    Returns:
        The new text, or None where no word can be exchanged.
    """
    found = words(text)
    places = []
    for position, word in enumerate(found):
        named = word.text[0].isupper() and not (word.opens and _begins_no_name(found, position))
        if not named and not word.joined and word.text.lower() in lexicon:
            places.append(position)
    if not places:
        return None
    wanted = min(len(places), max(1, round(share * len(found))))
    chosen = generator.choice(len(places), size=wanted, replace=False)
    changes = {}
    for place in sorted(places[i] for i in chosen):
        old = found[place].text
        options = lexicon[old.lower()]
        changes[place] = in_case_of(old, options[int(generator.integers(len(options)))])
    return rewrite(text, found, changes)


@cache
def own() -> Lexicon:
    """Our lexicon: word -> its synonyms, sorted; words that are only put in map to nothing."""
    fits: dict[str, list[set[str]]] = {}
    for _, group in pl.read_csv(SYNONYMS, separator="\t", quote_char=None).iter_rows():
        rows = [alternative.split() for alternative in group.split(" | ")]
        for slot in zip(*rows, strict=True):
            plain = [form.rstrip("*") for form in slot]
            for form, marked in zip(plain, slot, strict=True):
                others = set() if marked.endswith("*") else set(plain) - {form}
                fits.setdefault(form, []).append(others)
    return {form: tuple(sorted(set.intersection(*sets))) for form, sets in sorted(fits.items())}


def lexicon(wordnet: str | None) -> Lexicon:
    """Our lexicon, and what a WordNet adds to it; ours decides about every word that it lists.

    Args:
        wordnet: Folder of a WordNet 3.x or parquet of an Open English WordNet; None for ours alone.

    Raises:
        UserError: There is no WordNet there.
    """
    ours = own()
    table = {word: options for word, options in ours.items() if options}
    if wordnet is not None:
        from tasks.augmentation.wordnet import single_sense_synonyms

        more = single_sense_synonyms(Path(wordnet))
        table |= {word: options for word, options in more.items() if word not in ours}
    return table


def _begins_no_name(found: list[Word], position: int) -> bool:
    """Whether a sentence's first word is capitalised for that alone: no capital follows it."""
    follower = found[position + 1] if position + 1 < len(found) else None
    return follower is None or not follower.text[0].isupper()
