"""What counts as markup, an address, a control character: one pattern each for finding and repair.

Profile counts with these in Polars' engine and clean replaces with them in Python's, so a text
that was repaired is also found clean. They use only what both engines read alike: no look-around,
no back-references.
"""

from __future__ import annotations

from functools import cache
from html.entities import name2codepoint
from pathlib import Path

_HERE = Path(__file__).parent

# Han and kana are written without spaces, so each character counts as a word. In Thai, Lao, Khmer
# and Burmese a word's unit is the cluster a reader sees as one: a consonant with the vowel before
# it, the letter stacked under it and the marks and vowels after it (the Thai character clusters of
# Theeramunkong et al. 2000, doi:10.1145/355214.355225, without their look-ahead). A cluster needs
# no dictionary and no place to count from, so an edit changes the clusters it touches and no other.
IDEOGRAPHS = (
    r"\x{2E80}-\x{2FDF}\x{3005}-\x{3007}\x{3040}-\x{30FF}\x{31F0}-\x{31FF}\x{3400}-\x{4DBF}"
    r"\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{3FFFF}"
)
SPACELESS = r"\x{0E00}-\x{0EFF}\x{1000}-\x{109F}\x{1780}-\x{17FF}"
_BEFORE = r"\x{0E40}-\x{0E44}\x{0EC0}-\x{0EC4}"
_AFTER = r"\p{M}\x{0E30}\x{0E32}\x{0E33}\x{0E45}\x{0E46}\x{0EB0}\x{0EB2}\x{0EB3}\x{0EC6}"
_BASE = rf"[[{SPACELESS}]&&[\p{{L}}\p{{N}}]--[{_BEFORE}{_AFTER}]]"
_CLUSTER = (
    rf"[{_BEFORE}]?{_BASE}(?:[\x{{17D2}}\x{{1039}}]{_BASE}|[[{SPACELESS}]&&[{_AFTER}]])*"
    rf"|[[{SPACELESS}]&&[{_BEFORE}{_AFTER}]]+"
)
WORDLIKE = rf"[\p{{L}}\p{{M}}\p{{N}}--[{IDEOGRAPHS}{SPACELESS}]]"
# Polars only: the parts that a cluster is put together from.
CLUSTER_PARTS = {
    "base": _BASE,
    "before": rf"[{_BEFORE}]",
    "after": rf"[[{SPACELESS}]&&[{_AFTER}]]",
    "stacking": r"[\x{17D2}\x{1039}]",
}
# Polars only: one piece of a script without spaces.
SPACELESS_PIECE = rf"[{IDEOGRAPHS}]|{_CLUSTER}"
# Polars only: a run of letters and digits, apostrophes inside it, or one spaceless piece.
WORD = rf"{WORDLIKE}+(?:'{WORDLIKE}+)*|{SPACELESS_PIECE}"

# Line breaks and tabs are lay-out; every other C0 or C1 control, the byte order mark, the
# interlinear marks and the noncharacters are left by broken decoding. Joiners are letters' own.
CONTROL = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff\ufff9-\ufffb\ufffe\uffff]"

URL = r"(?:https?://|ftp://|www\.)[^\s<>\"'\]\[{}|]+"
EMAIL = r"[\w.+%\-]*[\w+%\-]@[\w\-]+(?:\.[\w\-]+)*\.[^\W\d_]{2,24}"

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_LONG = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]\d)"
# A dotted quad with a number over nine in it: `3.2.1.4` is a section or a version.
IP = (
    "|".join(
        r"\b" + r"\.".join(_LONG if place == long else _OCTET for place in range(4)) + r"\b"
        for long in range(4)
    )
    + r"|\b(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}\b"
)
# Telephone numbers by their shapes: international with a plus, three-three-four with the same
# separator or a bracketed area code, a leading zero with groups, or any after a word that says so.
# Years, ranges, dates, sums, book numbers and plain digits have none of these shapes.
PHONE = "|".join(
    [
        r"\+\d{1,3}[ .\-]?(?:\(\d{1,4}\)[ .\-]?)?\d{1,4}(?:[ .\-]?\d{2,4}){2,4}\b",
        r"\(\d{3}\) ?\d{3}[ .\-]\d{4}\b",
        r"\b(?:1-)?\d{3}-\d{3}-\d{4}\b",
        r"\b\d{3}\.\d{3}\.\d{4}\b",
        r"\b0\d{2,4}[ \-]\d{3,4}[ \-]?\d{3,4}\b",
        r"(?i:\b(?:tel|telephone|phone|fax|mobile|cell|call|dial|whatsapp)(?: number| no)?"
        r"[.:]{0,2} {0,2}(?:me |us )?(?:at |on )?\(?\d[\d().\- ]{5,16}\d)\b",
    ]
)

_TAGS = (
    "a abbr acronym address applet area article aside audio b base bdi bdo big blockquote body br "
    "button canvas caption center cite code col colgroup data datalist dd del details dfn dialog "
    "dir div dl dt em embed fieldset figcaption figure font footer form frame frameset h1 h2 h3 h4 "
    "h5 h6 head header hgroup hr html i iframe img input ins kbd label legend li link main map mark "
    "menu meta meter nav noframes noscript object ol optgroup option output p param picture pre "
    "progress q rp rt ruby s samp script search section select slot small source span strike strong "
    "style sub summary sup svg table tbody td template textarea tfoot th thead time title tr track "
    "tt u ul var video wbr"
).split()
_SWITCHES = (
    "async autoplay checked controls defer disabled hidden loop multiple muted novalidate nowrap "
    "open readonly required selected"
).split()
# An element of HTML by its name, bare or with attributes that look like some; an element of any
# other language by a closing slash or an attribute. So `<unk>`, `a < b`, `a <b and c>` and `<3`
# stay text.
TAG = (
    rf"</?(?i:{'|'.join(_TAGS)})(?:\s+(?:{'|'.join(_SWITCHES)}))*\s*/?>"
    r"|</[A-Za-z][\w:.\-]*\s*>|<[A-Za-z][\w:.\-]*/>"
    r"|<[A-Za-z][\w:.\-]*\s[^<>=]*=[^<>]*>"
)
DECLARATION = r"<!--|<!(?i:doctype)[^<>]*>|<!\[CDATA\[|\]\]>|<\?(?i:xml|php)[^<>]*>"
# Entities by their names in HTML 4 and by number, always with the semicolon: `AT&T` stays.
ENTITY = rf"&(?:{'|'.join(sorted(name2codepoint))}|apos|#\d{{1,7}}|#[xX][0-9A-Fa-f]{{1,6}});"
MARKUP = f"{DECLARATION}|{TAG}|{ENTITY}"


def read_list(name: str) -> list[str]:
    """The lines of one of our word lists, without comments."""
    lines = (_HERE / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@cache
def stop_words() -> list[str]:
    """English function words, in lower case with straight apostrophes."""
    return sorted({word for line in read_list("words_english.txt") for word in line.split()})
