"""Whether digits are a payment card's number, and letters and digits a bank account's."""

from __future__ import annotations

# Issuers' first digits and the lengths of their numbers (ISO/IEC 7812; the issuers' own pages).
_ISSUERS: tuple[tuple[int, int, frozenset[int]], ...] = (
    (4, 4, frozenset({13, 16, 19})),  # Visa
    (51, 55, frozenset({16})),  # Mastercard
    (2221, 2720, frozenset({16})),
    (34, 34, frozenset({15})),  # American Express
    (37, 37, frozenset({15})),
    (6011, 6011, frozenset(range(16, 20))),  # Discover
    (644, 659, frozenset(range(16, 20))),
    (3528, 3589, frozenset(range(16, 20))),  # JCB
    (300, 305, frozenset({14})),  # Diners Club
    (36, 36, frozenset({14})),
    (38, 39, frozenset({14})),
    (62, 62, frozenset(range(16, 20))),  # UnionPay
)
# Characters of an account number by country (SWIFT, IBAN registry, ISO 13616).
IBAN_LENGTHS = {
    pair[:2]: int(pair[2:])
    for pair in (
        "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 "
        "EE20 EG29 ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 "
        "IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 "
        "NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SD18 SE24 SI19 SK24 SM27 ST25 SV28 "
        "TL23 TN24 TR26 UA29 VA22 VG24 XK20"
    ).split()
}


def is_card(digits: str) -> bool:
    """Whether digits have an issuer's prefix and length and the right last digit."""
    known = any(
        low <= int(digits[: len(str(low))]) <= high and len(digits) in lengths
        for low, high, lengths in _ISSUERS
    )
    return known and luhn(digits) == 0


def luhn(digits: str) -> int:
    """The Luhn sum modulo 10, 0 for a number with a right check digit (ISO/IEC 7812-1, annex B)."""
    backwards = [int(digit) for digit in reversed(digits)]
    doubled = [sum(divmod(2 * digit, 10)) for digit in backwards[1::2]]
    return (sum(backwards[::2]) + sum(doubled)) % 10


def iban_length(text: str) -> int:
    """How many characters at the beginning of a text, spaces included, are an account number.

    Args:
        text: Capitals and digits with single spaces.

    Returns:
        0 where it begins with none: an unknown country, too short, going on without a space, or
        with wrong check digits (the number modulo 97 must be 1, letters being 10 to 35).
    """
    wanted = IBAN_LENGTHS.get(text[:2], 0)
    places = [place for place, character in enumerate(text) if character != " "]
    if not wanted or len(places) < wanted:
        return 0
    end = places[wanted - 1] + 1
    number = "".join(text[place] for place in places[:wanted])
    if text[end : end + 1].isalnum():
        return 0
    return end if int("".join(str(int(c, 36)) for c in number[4:] + number[:4])) % 97 == 1 else 0
