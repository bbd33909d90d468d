"""Personal data and secrets in texts: found exactly, counted per kind, masked, never shown.

Each kind has a cheap test in Polars' engine for all texts and an exact one in Python for those
that pass it. Profile counts with the exact test and clean masks with it, so a text that was masked
counts none.

| kind | placeholder | exact test |
|---|---|---|
| secret | [SECRET] | `credentials` |
| card | [CARD] | 13 to 19 digits, plain or in a card's groups, a known issuer's prefix and length (ISO/IEC 7812) and the Luhn check digit |
| iban | [IBAN] | a country of the registry with its length, remainder 1 modulo 97 (ISO 13616) |
| email | [EMAIL] | `patterns.EMAIL` |
| ip | [IP] | version 4 with a number over nine, version 6 in allocated ranges (RFC 4291) |
| phone | [PHONE] | `patterns.PHONE` or an international number after 00; at most 15 digits (ITU E.164), no book number, no range of years |

All internet addresses are masked, but only `public_ip_count` counts those that belong to someone:
private, loopback and documentation ranges (RFC 1918, RFC 5737, RFC 3849) are left out there, as
the masking of FineWeb leaves them out (Penedo et al. 2024, arXiv:2406.17557).

Not covered: names, postal addresses, national identity numbers, domestic phone numbers without
separators.
"""  # noqa: E501

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tasks.corpus.signals import credentials, patterns
from tasks.corpus.signals.account_numbers import IBAN_LENGTHS, iban_length, is_card
from tasks.corpus.signals.credentials import Span
from tasks.corpus.signals.kernels import layout

SIGNALS = {
    "email_count": "e-mail addresses",
    "phone_count": "telephone numbers",
    "ip_count": "internet addresses, private and documentation ranges included",
    "public_ip_count": "internet addresses of public ranges",
    "card_count": "payment card numbers with a right check digit",
    "iban_count": "bank account numbers with right check digits",
    "pii_count": "e-mail, phone, internet address, card and account numbers together",
    "secret_count": "keys, tokens and passwords",
}

_CARD = re.compile(
    r"(?<![\w.\-/=#])(?:[0-9]{4}([ -]?)[0-9]{4}\1[0-9]{4}\1[0-9]{1,7}"
    r"|[0-9]{4}([ -]?)[0-9]{6}\2[0-9]{4,5})(?![\w\-/=]|\.[0-9])"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])(?:[A-Z]{2}[0-9]{2})(?: ?[A-Z0-9]){11,30}")
_EMAIL = re.compile(patterns.EMAIL)
_PHONE_PATTERN = rf"{patterns.PHONE}|\b00[1-9]\d{{0,2}}[ .\-]\d{{1,4}}(?:[ .\-]?\d{{2,4}}){{1,4}}\b"
_PHONE = re.compile(_PHONE_PATTERN)
_MOST_DIGITS = 15
_NO_PHONE = re.compile(r"^(?:1\d|20)\d\d ?- ?(?:1\d|20)\d\d$|^(?:1\d|20)\d\d-\d\d-\d\d$")
_BOOK = re.compile(r"^97[89][ \-]?(?:\d[ \-]?){9}\d$")
_IP = re.compile(patterns.IP)
_SHORTENED = re.compile(
    r"(?<![\w:.])(?:[23][0-9A-Fa-f]{3}|[fF][cdeCDE][0-9A-Fa-f]{2})"
    r"(?::{1,2}[0-9A-Fa-f]{1,4}){0,7}(?:::)?(?![\w:])"
)
_SHORTENED_SUSPECT = r"\b(?:[23][0-9A-Fa-f]{3}|[fF][cdeCDE][0-9A-Fa-f]{2}):[0-9A-Fa-f:]*:"


@dataclass(frozen=True)
class Kind:
    """One kind of personal data.

    Attributes:
        name: What counts and repairs are filed under.
        placeholder: What masking puts in its place.
        suspects: A cheap test for texts that may hold some.
        hint: The bit of `layout` that the compiled scan leaves on every text that holds some, 0 if
            there is no such bit.
        find: Places in a text, in order.
    """

    name: str
    placeholder: str
    suspects: Callable[[pl.Series], pl.Series]
    find: Callable[[str], list[Span]]
    hint: int = 0

    def mask(self, text: str) -> tuple[str, int]:
        """The text with placeholders, and how many."""
        parts, end = [], 0
        spans = self.find(text)
        for start, stop in spans:
            parts += [text[end:start], self.placeholder]
            end = stop
        return "".join([*parts, text[end:]]), len(spans)

    def likely(self, texts: pl.Series, hints: NDArray[np.int64] | None) -> list[int]:
        """The rows whose texts may hold some, looked at more closely only where the scan says so."""
        if hints is None or not self.hint:
            return self.suspects(texts).fill_null(False).arg_true().to_list()
        rows = np.flatnonzero(hints & self.hint)
        if not len(rows):
            return []
        return [int(row) for row in rows[self.suspects(texts.gather(rows)).to_numpy()]]


def personal_signals(texts: pl.Series, hints: NDArray[np.int64] | None = None) -> pl.DataFrame:
    """Counts per kind, one row per text; null counts as empty.

    A place counts under the first kind of `KINDS` that finds it: a password in an address that
    looks like an e-mail is a secret.

    Args:
        texts: The texts.
        hints: What `scan_texts` found that each may hold; without it all are looked at.
    """
    texts = texts.fill_null("")
    counts: dict[str, NDArray[np.int64]] = {}
    public = np.zeros(len(texts), np.int64)
    for kind in KINDS:
        counts[kind.name] = np.zeros(len(texts), np.int64)
        masked: dict[int, str] = {}
        for row in kind.likely(texts, hints):
            text = texts[row]
            if kind.name == "ip":
                public[row] = sum(_is_public(text[a:b]) for a, b in kind.find(text))
            masked[row], counts[kind.name][row] = kind.mask(text)
        if masked:
            texts = texts.scatter(list(masked), list(masked.values()))
    frame = pl.DataFrame({f"{name}_count": values for name, values in counts.items()})
    together = [f"{kind.name}_count" for kind in KINDS if kind.name != "secret"]
    return frame.with_columns(
        pl.Series("public_ip_count", public), pl.sum_horizontal(together).alias("pii_count")
    ).select(list(SIGNALS))


def redacted(texts: pl.Series) -> pl.Series:
    """Texts that may be shown in a report: all personal data and secrets by placeholder."""
    for kind in KINDS:
        rows = kind.likely(texts, None)
        if rows:
            texts = texts.scatter(rows, [kind.mask(texts[row])[0] for row in rows])
    return texts


def _cards(text: str) -> list[Span]:
    return [m.span() for m in _CARD.finditer(text) if is_card(re.sub(r"\D", "", m.group()))]


def _ibans(text: str) -> list[Span]:
    spans = []
    for match in _IBAN.finditer(text):
        length = iban_length(match.group())
        if length:
            spans.append((match.start(), match.start() + length))
    return spans


def _emails(text: str) -> list[Span]:
    return [match.span() for match in _EMAIL.finditer(text)]


def _phones(text: str) -> list[Span]:
    """The number alone: a word before it that says what it is stays."""
    spans = []
    for match in _PHONE.finditer(text):
        start = match.start() + len(re.split(r"[\d(+]", match.group(), maxsplit=1)[0])
        number = text[start : match.end()]
        if _is_phone(number, text[max(0, start - 2) : start]):
            spans.append((start, match.end()))
    return spans


def _is_phone(number: str, before: str) -> bool:
    """Whether it is none of what looks alike; digits in groups before a zero are its beginning."""
    digits = sum(c.isdigit() for c in number)
    goes_on = number[0] == "0" and re.fullmatch(r"\d[ \-]", before) is not None
    return not (goes_on or digits > _MOST_DIGITS or _NO_PHONE.match(number) or _BOOK.match(number))


def _ips(text: str) -> list[Span]:
    spans = [match.span() for match in _IP.finditer(text)]
    for match in _SHORTENED.finditer(text):
        if "::" in match.group() and _address(match.group()):
            spans.append(match.span())
    return sorted(spans)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_public(text: str) -> bool:
    address = _address(text)
    return address is not None and address.is_global


def _contains(first: str, *alternatives: str) -> Callable[[pl.Series], pl.Series]:
    """A test by patterns, made only where a cheaper one that they imply is met."""
    pattern = "|".join(alternatives)

    def suspects(texts: pl.Series) -> pl.Series:
        likely = texts.str.contains(first).fill_null(False)
        rows = likely.arg_true()
        if not pattern or not len(rows):
            return likely
        return likely.scatter(rows, texts.gather(rows).str.contains(pattern))

    return suspects


# Secrets first, for they may look like anything; numbers with check digits before those without.
KINDS = (
    Kind("secret", "[SECRET]", credentials.suspects, credentials.find),
    Kind(
        "card",
        "[CARD]",
        _contains(r"[0-9]{4}[ \-]?[0-9]{4,6}[ \-]?[0-9]{4}"),
        _cards,
        layout.MAY_CARD,
    ),
    Kind(
        "iban",
        "[IBAN]",
        _contains(rf"\b(?:{'|'.join(IBAN_LENGTHS)})[0-9]{{2}} ?[A-Z0-9]"),
        _ibans,
        layout.MAY_IBAN,
    ),
    Kind("email", "[EMAIL]", _contains("@", patterns.EMAIL), _emails, layout.MAY_EMAIL),
    Kind(
        "ip",
        "[IP]",
        _contains(r"\d\.\d|[0-9A-Fa-f]:", patterns.IP, _SHORTENED_SUSPECT),
        _ips,
        layout.MAY_IP,
    ),
    Kind(
        "phone", "[PHONE]", _contains(r"\d[\d().\- ]{5}", _PHONE_PATTERN), _phones, layout.MAY_PHONE
    ),
)
