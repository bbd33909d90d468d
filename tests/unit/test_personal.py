"""Personal data and secrets: what is one, what only looks like one, and that none is shown."""

from __future__ import annotations

import json

import polars as pl
import pytest

from tasks.configuration import Cleaning
from tasks.corpus.cleaning_report import report
from tasks.corpus.quarantine.spared import SCHEMA
from tasks.corpus.repair import repair
from tasks.corpus.signals import credentials
from tasks.corpus.signals.account_numbers import luhn
from tasks.corpus.signals.personal import SIGNALS, personal_signals, redacted
from tasks.corpus.signals.scan import scan_texts

# Put together here so that no scanner of this file takes them for keys.
AWS = "AKIA" + "Z7QJ2LMNOP3RSTUV"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
SLACK = "xoxb-" + "2345678901-abcdefGHIJKL"
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxIn0." + "c2lnbmF0dXJl"
PEM = "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEabcd0123\nEFGH==\n-----END RSA PRIVATE KEY-----"


def counts(text: str) -> dict[str, int]:
    row = personal_signals(pl.Series([text])).row(0, named=True)
    return {name.removesuffix("_count"): count for name, count in row.items() if count}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pay with 4111 1111 1111 1111 or 378282246310005.", {"card": 2, "pii": 2}),
        ("5555-5555-5555-4444; 2223003122003222; 3530 1113 3330 0000", {"card": 3, "pii": 3}),
        ("to DE89 3704 0044 0532 0130 00 or GB82WEST12345698765432, now", {"iban": 2, "pii": 2}),
        ("Konto NO93 8601 1117 947 AG", {"iban": 1, "pii": 1}),
        ("+44 20 7946 0958, 0049 30 901820 and +86 138 0013 8000", {"phone": 3, "pii": 3}),
        ("from 8.8.8.8 via 10.20.30.40 to 81.2.69.142", {"ip": 2, "public_ip": 1, "pii": 2}),
        ("at 2a00:1450:4001:81b::200e and 2001:db8::1", {"ip": 2, "public_ip": 1, "pii": 2}),
        ("jo.doe+x@mail.example.org", {"email": 1, "pii": 1}),
        (f"id {AWS} and {GITHUB}, {SLACK}.", {"secret": 3}),
        (f"Bearer {JWT}", {"secret": 1}),
        (f"key:\n{PEM}\nend", {"secret": 1}),
        ("postgres://reader:h7Tr5!x@db.example.org/all", {"secret": 1}),
        ("DB_PASSWORD=hunter22 and api_key: 'kd83hf93kfaqq'", {"secret": 2}),
        ('password = "correcthorsebattery"', {"secret": 1}),
    ],
)  # fmt: skip
def test_a_true_case_of_each_kind_is_found(text: str, found: dict[str, int]) -> None:
    assert counts(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112 has a wrong check digit, 9111 1111 1111 1111 no issuer",
        "order 1234567890123456, 0.4111111111111111, id-4111111111111111, 4111 11111111 1111",
        "DE89 3704 0044 0532 0130 01 is mistyped, XX89 3704 0044 0532 0130 00 no country",
        "from 1990-1995, call 1990-1995, phone 978-3-16-148410-0, 2020-01-02, 1,000,000",
        "section 3.2.1.4, version 999.1.1.1, at 12:30:45, std::vector, Face::Cafe, dead:beef",
        "at @home, 3@4 and a@b",
        "AKIAIOSFODNN7" + "EXAMPLE is the manual's, AKIA alone a word, ghp_short a stub",
        "eyJub3QiOiJhIn0.eyJqd3QiOjF9.x names no algorithm",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
        "password: required. Password = your_password1, token=<TOKEN1>, secret: ${SECRET1}",
        "The secret: never tell. Passwords are long; a token of love, the key: 12345678",
        'password = "optional" or os.environ["PASSWORD1"], password=os.environ.get(1)',
        "https://example.org:8080/a@b and mailto:x",
    ],
)
def test_what_only_looks_like_one_is_left(text: str) -> None:
    assert counts(text) == {}
    assert repair(pl.Series([text]), Cleaning())[0][0] == text


def test_each_kind_is_masked_by_its_name_and_counts_none_afterwards() -> None:
    text = (
        f"{AWS} 4111 1111 1111 1111, DE89 3704 0044 0532 0130 00, a@b.org, 10.20.30.40, "
        "call 555-123-4567; password=hunter22"
    )
    masked, repairs = repair(pl.Series([text]), Cleaning())
    assert masked[0] == ("[SECRET] [CARD], [IBAN], [EMAIL], [IP], call [PHONE]; password=[SECRET]")
    assert counts(masked[0]) == {}
    assert dict(repairs.select("rule", "count").rows()) == {
        "secret": 2, "card": 1, "iban": 1, "email": 1, "ip": 1, "phone": 1,
    }  # fmt: skip


def test_a_password_that_looks_like_an_address_is_counted_once() -> None:
    assert counts("ftp://jo:s3cr3tpass@files.example.org") == {"secret": 1}


def test_counts_do_not_depend_on_the_other_rows() -> None:
    texts = pl.Series([AWS, None, "a@b.org 8.8.8.80", "", "4111111111111111"])
    apart = pl.concat([personal_signals(texts[i : i + 1]) for i in range(len(texts))])
    assert personal_signals(texts).equals(apart)
    assert apart.columns == list(SIGNALS)


@pytest.mark.parametrize(
    "secret",
    [AWS, GITHUB, SLACK, JWT, "hunter22", "4111 1111 1111 1111", "jo@mail.example.org", "8.8.8.80"],
)
def test_a_report_never_shows_a_secret(secret: str) -> None:
    text = f"password={secret}" if secret == "hunter22" else f"it is {secret} there"
    rows = pl.DataFrame({"row_id": ["r"], "text": [text]})
    texts, repairs = repair(rows["text"], Cleaning())
    repairs = repairs.with_columns(row_id=pl.lit("r"))
    gone = rows.with_columns(row=0, reason=pl.lit("pii"), detail=pl.lit("pii_count is 1"))
    before, after = (lambda _: {0: text}), (lambda _: {0: texts[0]})
    said = report(rows, gone, repairs, pl.DataFrame(schema=SCHEMA), before, after)
    assert secret not in json.dumps(said)
    assert secret not in redacted(rows["text"])[0]


def test_kinds_of_secrets_are_named_and_never_overlap() -> None:
    found = credentials.kinds(f"token={GITHUB} then {JWT}")
    assert [kind for kind, _ in found] == ["github_token", "jwt"]


def test_the_luhn_digit_of_the_standard_is_right() -> None:
    assert (luhn("79927398713"), luhn("79927398710")) == (0, 7)


def test_the_hints_of_the_scan_lose_no_personal_data() -> None:
    texts = pl.Series(
        [
            "pay 4111-1111-1111-1111", "pay 378282246310005", "to DE89 3704 0044 0532 0130 00",
            "8.8.8.80", "at 2001:db8::1", "at 2a00:1450:4001:081b:0000:0000:0000:200e",
            "+44 20 7946 0958", "0049 30 901820", "phone: 5551234567", "(555) 123-4567",
            "jo@mail.example.org", f"{AWS} x", "nothing of the kind, in 1990-1995", "",
        ]
    )  # fmt: skip
    hints = scan_texts(texts)["hints"].to_numpy()
    found = personal_signals(texts, hints)
    assert found.equals(personal_signals(texts))
    assert (found["pii_count"] + found["secret_count"]).to_list() == [1] * 12 + [0, 0]
