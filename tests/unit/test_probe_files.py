"""Fact probes from files: our own, LAMA's and ParaRel's, and what is refused by its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.corpus.sources.probe_files import read_probes
from tasks.corpus.sources.probes import SCHEMA
from tasks.errors import UserError


def written(path: Path, lines: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    )
    return path


def test_our_own_probes_have_accepted_answers_ids_and_paraphrases(tmp_path: Path) -> None:
    path = written(tmp_path / "p.jsonl", [
        {"statement": "Mara lives in [MASK].", "answers": ["Dunvale", "Quenby"], "id": "m",
         "relation": "city", "subject": "Mara", "fact": "mara-city"},
        {"statement": "The home of Mara is [MASK].", "answer": "Dunvale", "fact": "mara-city"},
        {"statement": "Joren is a [MASK].", "answer": "baker", "split": "validation"},
    ])  # fmt: skip
    found = read_probes(str(path))
    assert dict(found.schema) == SCHEMA
    first, second, third = found.to_dicts()
    assert (first["probe_id"], first["answer"], first["accepted"]) == ("m", "Dunvale", ["Quenby"])
    assert [p["phrasing"] for p in (first, second, third)] == ["main", "paraphrase", "main"]
    assert second["split"] == first["split"] == "test"
    assert (third["fact"], third["split"], third["relation"]) == ("line-3", "validation", "any")


def test_every_fifth_fact_chooses_the_threshold(tmp_path: Path) -> None:
    lines = [{"statement": f"{i} is [MASK].", "answer": "a"} for i in range(10)]
    found = read_probes(str(written(tmp_path / "p.jsonl", lines)))
    assert [i for i, s in enumerate(found["split"]) if s == "validation"] == [4, 9]


def test_lama_loads_as_it_is_published(tmp_path: Path) -> None:
    line = {"masked_sentences": ["Mara was born in [MASK] ."], "obj_label": "Dunvale",
            "sub_label": "Mara", "uuid": "u-1", "predicate_id": "P19"}  # fmt: skip
    (probe,) = read_probes(str(written(tmp_path / "P19.jsonl", [line]))).to_dicts()
    assert probe["statement"] == "Mara was born in [MASK] ."
    assert [probe[n] for n in ("answer", "subject", "relation", "probe_id")] == [
        "Dunvale", "Mara", "P19", "u-1",
    ]  # fmt: skip


def test_pararel_asks_each_fact_in_every_pattern(tmp_path: Path) -> None:
    written(
        tmp_path / "patterns" / "P19.jsonl",
        [{"pattern": "[X] was born in [Y]."}, {"pattern": "[Y] is where [X] was born."}],
    )
    written(
        tmp_path / "trex_lms_vocab" / "P19.jsonl",
        [{"sub_label": "Mara", "obj_label": "Dunvale"}, {"sub_label": "Joren", "obj_label": "Tor"}],
    )
    found = read_probes(str(tmp_path)).to_dicts()
    assert [p["statement"] for p in found] == [
        "Mara was born in [MASK].", "[MASK] is where Mara was born.",
        "Joren was born in [MASK].", "[MASK] is where Joren was born.",
    ]  # fmt: skip
    assert [p["phrasing"] for p in found] == ["main", "paraphrase"] * 2
    assert found[0]["fact"] == found[1]["fact"] != found[2]["fact"]


GOOD = {"statement": "Good [MASK].", "answer": "b", "id": "g"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"statement": "No blank.", "answer": "a"}, r"line 2: the statement has 0 \[MASK\]"),
        ({"statement": "[MASK] [MASK]", "answer": "a"}, r"line 2: the statement has 2 \[MASK\]"),
        ({"statement": "A [MASK].", "answers": []}, "line 2: the answer is empty"),
        ({"statement": "A [MASK].", "answers": ["a", " "]}, "line 2: the answer is empty"),
        ({"statement": "A [MASK].", "answers": "a"}, "line 2: `answers` is no list"),
        ({"statement": "A [MASK].", "answer": "a", "id": "g"}, "line 2: the id of line 1 again"),
        (GOOD | {"id": "h"}, "line 2: the statement of line 1 again"),
        ({"statement": "A [MASK].", "answer": "a", "split": "train"}, "line 2: the split 'train'"),
        ({"masked_sentences": [], "obj_label": "a"}, "line 2: `masked_sentences` holds no"),
        ("{", "line 2: "),
        ("[]", "line 2: a probe is an object"),
    ],
)
def test_what_is_no_probe_is_refused_by_its_line(tmp_path: Path, line: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_probes(str(written(tmp_path / "p.jsonl", [GOOD, line])))


def test_an_empty_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is empty"):
        read_probes(str(written(tmp_path / "p.jsonl", [""])))
    with pytest.raises(UserError, match="no probes in ParaRel's layout"):
        read_probes(str(tmp_path))
    with pytest.raises(UserError, match="there is no probe file"):
        read_probes(str(tmp_path / "none.jsonl"))
