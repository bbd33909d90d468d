"""One readable sentence per expectation: what is wanted, and what was found.

Data Docs, the run page and a refusal all show the same words, so a person who reads one can find
the other. An expectation of the core that has no phrase here is named by its type.
"""

from __future__ import annotations

from typing import Any

from expectations.rules import interval_in_words


def requirement(kind: str, kwargs: dict[str, Any]) -> str:
    """What an expectation asks for, as a sentence without its full stop."""
    phrase = _phrase(kind, kwargs)
    if phrase is None:
        shown = {k: v for k, v in kwargs.items() if k not in ("partition", "row_condition")}
        details = ", ".join(f"{name} {value}" for name, value in shown.items())
        phrase = f"{kind} must hold ({details})" if details else f"{kind} must hold"
    return phrase + _where(kwargs)


def finding(kind: str, result: dict[str, Any], observed: Any, *, met: bool) -> str:
    """What was found, as the end of the sentence that `requirement` begins.

    Args:
        kind: The expectation's type.
        result: Great Expectations' result.
        observed: The observed value, as it is recorded.
        met: Whether the expectation is met.
    """
    if "unexpected_count" in result:
        judged = int(result["element_count"]) - int(result.get("missing_count") or 0)
        count = int(result["unexpected_count"])
        if not judged:
            return "no row has a value"
        if not count:
            return f"all {judged:,} rows meet it"
        return f"{count:,} of {judged:,} rows ({100 * count / judged:.3g} %) break it"
    if kind == "expect_column_distinct_values_to_contain_set":
        return "all of them occur" if met else f"missing: {number(observed)}"
    if kind == "expect_column_to_exist":
        return "it is there" if met else "it is not"
    if kind == "expect_column_class_share_to_be_at_least":
        rarest = result.get("details") or {}
        return (
            f"{rarest.get('class')!r}, the rarest of {rarest.get('classes', 0)}, has "
            f"{100 * rarest.get('share', 0.0):.3g} % of them, {percent(observed)} of an even share"
        )
    return f"found {number(observed)}"


def percent(share: float) -> str:
    """A share in percent, `95 %`."""
    return f"{100 * share:.4g} %"


def number(value: Any) -> str:
    """A value as a person would write it."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(number(item) for item in value) or "nothing"
    return str(value)


def _phrase(kind: str, kwargs: dict[str, Any]) -> str | None:
    column = kwargs.get("column")
    bounds = interval_in_words(kwargs.get("min_value"), kwargs.get("max_value"))
    rows = _rows(kwargs.get("mostly", 1.0))
    match kind:
        case "expect_column_to_exist":
            return f"column {column} must be there"
        case "expect_table_row_count_to_be_between":
            return f"the number of rows must be {bounds}"
        case "expect_column_values_to_not_be_null":
            return f"{column} must have a value in {rows}"
        case "expect_column_values_to_be_unique":
            return f"{column} must not occur twice"
        case "expect_column_values_to_be_between":
            return f"{column} must be {bounds} in {rows}"
        case "expect_column_values_to_be_in_set":
            return f"{column} must be {_any_of(kwargs['value_set'])} in {rows}"
        case "expect_column_values_to_not_be_in_set":
            return f"{column} must be other than {_any_of(kwargs['value_set'])} in {rows}"
        case "expect_column_distinct_values_to_contain_set":
            return f"{column} must take {_all_of(kwargs['value_set'])}"
        case "expect_column_unique_value_count_to_be_between":
            return f"the number of different values of {column} must be {bounds}"
        case "expect_column_js_divergence_to_be_less_than":
            limit = f"{kwargs['threshold']:g} bits"
            return f"{column} must diverge from {_reference(kwargs)} by {limit} at most"
        case "expect_column_class_share_to_be_at_least":
            wanted = percent(kwargs["of_even_share"])
            return f"the rarest {column} must have at least {wanted} of an even share of the rows"
    return None


def _rows(mostly: float) -> str:
    return "every row" if mostly >= 1 else f"at least {percent(mostly)} of the rows"


def _any_of(values: list[Any]) -> str:
    names = [number(value) for value in values]
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"


def _all_of(values: list[Any]) -> str:
    return f"the value{'s' * (len(values) > 1)} {number(list(values))}"


def _reference(kwargs: dict[str, Any]) -> str:
    partition = kwargs["partition"]
    name = partition.get("reference") or partition.get("$PARAMETER") or "the reference"
    return name if name == "the reference" else f"the {name} rows"


def _where(kwargs: dict[str, Any]) -> str:
    match kwargs.get("row_condition"):
        case {"column": {"name": "split"}, "operator": "IN", "parameter": [*splits]}:
            return f" ({', '.join(str(split) for split in splits)} rows)"
        case None:
            return ""
    return " (some rows)"
