"""What the kernels and their caller agree on: bits of code points, columns of figures, hints."""

from __future__ import annotations

# Bits of a code point.
LETTER, DIGIT, SPACE, UPPER, LOWER, CONTROL = 1, 2, 4, 8, 16, 32
NUMBER, WORDLIKE, IDEOGRAPH = 64, 128, 256
TERMINAL, CLOSER, BULLET, SPECIAL, ODD, PLAIN = 1024, 2048, 4096, 8192, 16384, 32768
# Of scripts without spaces: parts of the clusters that count as words, see `patterns.WORD`.
BASE, BEFORE, AFTER, STACKING = 65536, 131072, 262144, 524288
SPACELESS = BASE | BEFORE | AFTER | STACKING
# Marks and their like, which normalisation or lower case may change with what stands beside them.
MOVING = 1048576
# What a word boundary of regular expressions counts as word.
JOINED = 2097152

# What a text may hold. A pattern that cannot match without it is not looked for elsewhere.
MAY_EMAIL, MAY_MARKUP, MAY_URL, MAY_PHONE, MAY_IP, MAY_MOJIBAKE = 1, 2, 4, 8, 16, 32
MAY_CARD, MAY_IBAN = 64, 128

# What is counted of a text, in the order of the columns.
COUNTS = (
    "characters",
    "letters",  # and marks of any script
    "digits",
    "spaces",
    "upper",
    "lower",
    "controls",
    "hints",  # bits of what the text may hold
    "words",
    "holding",  # words that hold a letter or a number
    "holding_characters",
    "lettered",  # words that hold a letter
    "stops",  # bits of Gopher's stop words
    "spaceless",  # words of scripts without spaces
    "hashes",
    "ellipses",
    "newlines",
    "lines",  # not blank
    "bullets",  # lines that begin with one
    "trailing",  # lines that end with an ellipsis
    "punctuated",  # lines that end with a full stop or its like
    "short",  # lines of at most 30 characters
    "sentences",  # in lines that C4 keeps
    "long_words",  # from here: lines that C4 drops, each under its first reason
    "unpunctuated",
    "few_words",
    "javascript",
    "policy",
    "lorem",  # from here: lines for which C4 drops the text
    "brackets",
    "repeated_lines",
    "repeated_line_characters",
    "paragraphs",
    "repeated_paragraphs",
    "repeated_paragraph_characters",
    "top_2",  # characters in the most frequent n-gram
    "top_3",
    "top_4",
    "again_5",  # characters in repeated n-grams
    "again_6",
    "again_7",
    "again_8",
    "again_9",
    "again_10",
)
(
    CHARACTERS, LETTERS, DIGITS, SPACES, UPPERS, LOWERS, CONTROLS, HINTS, WORDS, HOLDING,
    HOLDING_CHARACTERS, LETTERED, STOPS, SPACELESS_WORDS, HASHES, ELLIPSES, NEWLINES, LINES, BULLETS,
    TRAILING, PUNCTUATED, SHORT, SENTENCES, LONG_WORDS, UNPUNCTUATED, FEW_WORDS, JAVASCRIPT, POLICY,
    LOREM, BRACKETS, REPEATED_LINES, REPEATED_LINE_CHARACTERS, PARAGRAPHS, REPEATED_PARAGRAPHS,
    REPEATED_PARAGRAPH_CHARACTERS, TOP,
) = range(36)  # fmt: skip
AGAIN = TOP + 3

# What is noted of a line: its first character's place in the text, the place after its last, and
# whether the text's beginning or a blank line is before it.
LINE_BEGIN, LINE_END, LINE_OPENS = 0, 1, 2
LINE_NOTES = 3

# Gopher asks for two of them; at most seven letters each, which eight bytes hold.
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")

# Lines that C4 drops or drops texts for; the scan looks for them only where one occurs at all.
LOREM_IPSUM, SCRIPT, BRACKET = "lorem ipsum", "javascript", "{"
POLICIES = (
    "terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies",
)  # fmt: skip
