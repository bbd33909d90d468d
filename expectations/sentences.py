"""One readable sentence per expectation: what is wanted, and what was found.

Data Docs, the run page and a refusal all show the same words, so a person who reads one can find
the other. An expectation of the core that has no phrase here is named by its type.
"""

from __future__ import annotations

from typing import Any

from expectations.rules import interval_in_words

_DISTANCES = {
    "ks": ("differ from", " (Kolmogorov-Smirnov)"),
    "js": ("diverge from", " bits"),
    "psi": ("differ from", " (population stability index)"),
    "chi2": ("differ from", " (Cramer's V)"),
    "linf": ("differ from", " in the share of any value"),
}


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
    if kind == "expect_column_distribution_distance_to_be_less_than":
        return _distance(result["details"]["worst"], result["details"]["slices"])
    if kind in ("expect_column_categories_to_be_known", "expect_table_columns_to_be_known"):
        return "all of them are" if met else "; ".join(observed)
    return f"found {number(observed)}"


def silence(slices: list[dict[str, Any]], kwargs: dict[str, Any]) -> str:
    """Why a comparison says nothing."""
    if kwargs.get("by"):
        return f"no {kwargs['by']} has enough rows on both sides"
    return f"{slices[0]['silent']} of {kwargs['column']}"


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
    column = "every column" if kwargs.get("column") == "*" else kwargs.get("column")
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
        case "expect_column_distribution_distance_to_be_less_than":
            verb, unit = _DISTANCES.get(kwargs["statistic"], ("differ from", ""))
            limit = f"{kwargs['threshold']:g}{unit}"
            slices = f" within every {kwargs['by']}" if kwargs.get("by") else ""
            return f"{column} must {verb} {_reference(kwargs)} by {limit} at most{slices}"
        case "expect_column_categories_to_be_known":
            return f"{column} must have the values of {_reference(kwargs)}, none new, none gone"
        case "expect_table_columns_to_be_known":
            return f"the columns with values must be those of {_reference(kwargs)}"
        case "expect_column_class_share_to_be_at_least":
            wanted = percent(kwargs["of_even_share"])
            return f"the rarest {column} must have at least {wanted} of an even share of the rows"
    return None


def _distance(worst: dict[str, Any], slices: list[dict[str, Any]]) -> str:
    """What a comparison found, from how many rows, and what chance alone would have shown."""
    where = f" within {worst['slice']}" if worst["slice"] is not None else ""
    chance = worst["critical"]
    limit = f", chance reaches {number(chance)}" if chance is not None else ""
    silent = sum(one["silent"] is not None for one in slices)
    few = f"; too few rows in {silent} of {len(slices)}" if silent else ""
    rows = f"{worst['rows']:,} against {worst['reference_rows']:,} rows"
    return f"found {number(worst['value'])}{where} ({worst['moved']}; {rows}{limit}){few}"


def _rows(mostly: float) -> str:
    return "every row" if mostly >= 1 else f"at least {percent(mostly)} of the rows"


def _any_of(values: list[Any]) -> str:
    names = [number(value) for value in values]
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"


def _all_of(values: list[Any]) -> str:
    return f"the value{'s' * (len(values) > 1)} {number(list(values))}"


def _reference(kwargs: dict[str, Any]) -> str:
    return f"the {kwargs['reference']} rows"


def in_languages(counts: dict[str, dict[str, int]]) -> str:
    """Broken and judged rows of some languages, such as `40 of 50 rows in zh (80 %)`."""
    return ", ".join(
        f"{n['broken']:,} of {n['rows']:,} rows in {name} ({100 * n['broken'] / n['rows']:.3g} %)"
        for name, n in counts.items()
    )


def _where(kwargs: dict[str, Any]) -> str:
    condition = kwargs.get("row_condition")
    if condition is None:
        return ""
    whole = isinstance(condition, dict) and condition.get("type") == "and"
    parts = [_part(part) for part in (condition["conditions"] if whole else [condition])]
    return " (some rows)" if None in parts else f" ({', '.join(map(str, parts))})"


def _part(condition: Any) -> str | None:
    match condition:
        case {"column": {"name": "split"}, "operator": "IN", "parameter": [*splits]}:
            return f"{', '.join(map(str, splits))} rows"
        case {"column": {"name": "language"}, "operator": "IN", "parameter": [*languages]}:
            return f"rows in {', '.join(map(str, languages))}"
        case {"column": {"name": "language"}, "operator": "NOT_IN", "parameter": [*languages]}:
            return f"rows not in {', '.join(map(str, languages))}"
    return None
