"""Custom expectations over a table that holds two sides: distances, categories and columns.

Great Expectations' core compares a column with a fixed histogram (its Kullback-Leibler
expectation), without a word on chance or sample size. These compare the rows of one table whose
column `sides` is `judged` with those where it is `reference`, so the table explains itself and any
runner of Great Expectations can judge it. What the findings mean: `expectations.comparing`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from great_expectations.compatibility import pydantic
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.core.suite_parameters import SuiteParameterDict
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import (
    BatchExpectation,
    ColumnAggregateExpectation,
)
from great_expectations.expectations.metrics import ColumnAggregateMetricProvider
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider

from expectations.changes import category_changes, column_changes
from expectations.comparing import compare, compare_slices
from expectations.custom import LIBRARY, told

_SIDES = ("sides", "judged", "reference")


class ColumnDistance(ColumnAggregateMetricProvider):  # type: ignore[misc]
    """How far a column's two sides lie apart, for all rows or slice by slice."""

    metric_name = "column.distance"
    value_keys = (*_SIDES, "statistic", "level", "by")

    @metric_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(  # noqa: B902
        cls,  # noqa: N805
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> list[dict[str, Any]]:
        column, asked = metric_domain_kwargs["column"], metric_value_kwargs
        by, how = asked.get("by"), (asked["statistic"], float(asked["level"]))
        frames = _sides(execution_engine, metric_domain_kwargs, asked)
        judged, reference = (_values(frame[column]) for frame in frames)
        if by is None:
            return [compare(judged, reference, *how).record()]
        slices = _values(frames[0][by]), _values(frames[1][by])
        return [found.record() for found in compare_slices(judged, reference, slices, *how)]


class ColumnCategoryChanges(ColumnAggregateMetricProvider):  # type: ignore[misc]
    """Names of categories that only one side has."""

    metric_name = "column.category_changes"
    value_keys = (*_SIDES, "min_share", "level")

    @metric_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(  # noqa: B902
        cls,  # noqa: N805
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> list[str]:
        column, asked = metric_domain_kwargs["column"], metric_value_kwargs
        frames = _sides(execution_engine, metric_domain_kwargs, asked)
        judged, reference = (_values(frame[column]) for frame in frames)
        limits = {"min_share": float(asked["min_share"]), "level": float(asked["level"])}
        return category_changes(judged, reference, **limits).names()


class TableColumnChanges(TableMetricProvider):  # type: ignore[misc]
    """Names of columns that only one side has values of."""

    metric_name = "table.column_changes"
    value_keys = _SIDES

    @metric_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(  # noqa: B902
        cls,  # noqa: N805
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> list[str]:
        frames = _sides(
            execution_engine, metric_domain_kwargs, metric_value_kwargs, MetricDomainTypes.TABLE
        )
        here, there = ({str(c): _values(frame[c]) for c in frame.columns} for frame in frames)
        return column_changes(here, there).names()


class ExpectColumnDistributionDistanceToBeLessThan(ColumnAggregateExpectation):  # type: ignore[misc]
    """Expect a column to be distributed nearly as the reference rows' is.

    It fails if the `statistic` is larger than `threshold` and chance would make it so large at
    most with probability `level`; with `by`, in any slice, each at its part of the level. In a
    suite file the level is `{"$PARAMETER": "level"}`, which the runner fills with the suite's
    `false_alarm` divided by the number of its comparisons. With too few rows nothing is claimed.
    """

    expectation_type: ClassVar[str] = "expect_column_distribution_distance_to_be_less_than"
    sides: str = pydantic.Field(..., description="Column that says which side a row is of")
    judged: str = pydantic.Field(..., description="Its value for the rows judged")
    reference: str = pydantic.Field(..., description="Its value for the rows compared with")
    statistic: Literal["ks", "js", "psi", "chi2", "linf"] = pydantic.Field(
        ..., description="See expectations/statistics.py"
    )
    threshold: float = pydantic.Field(..., ge=0, description="Largest distance allowed")
    level: SuiteParameterDict | float = pydantic.Field(
        ..., description="Probability of a false alarm"
    )
    by: str | None = pydantic.Field(None, description="Column of the slices, if by slices")
    metric_dependencies: ClassVar[tuple[str, ...]] = ("column.distance",)
    success_keys: ClassVar[tuple[str, ...]] = (*_SIDES, "statistic", "threshold", "level", "by")
    args_keys: ClassVar[tuple[str, ...]] = ("column", *success_keys)
    library_metadata: ClassVar[dict[str, Any]] = LIBRARY

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: Any = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        found = [one for one in metrics["column.distance"] if one["silent"] is None]
        broken = [
            one for one in found if one["value"] > self.threshold and one["p"] <= one["level"]
        ]
        worst = max(broken or found, key=lambda one: one["value"], default=None)
        return {
            "success": not broken,
            "result": {
                "observed_value": None if worst is None else round(worst["value"], 6),
                "details": {"worst": worst, "slices": metrics["column.distance"]},
            },
        }

    _prescriptive_renderer = told(
        "must differ from the $reference rows by at most $threshold ($statistic).",
        ["column", "reference", "threshold", "statistic"],
    )


class ExpectColumnCategoriesToBeKnown(ColumnAggregateExpectation):  # type: ignore[misc]
    """Expect a column to have the reference's categories, none new, none gone, none renamed.

    A category counts from `min_share` of its side's rows, and from where chance would hide it on
    the other side at most with probability `level`.
    """

    expectation_type: ClassVar[str] = "expect_column_categories_to_be_known"
    sides: str = pydantic.Field(..., description="Column that says which side a row is of")
    judged: str = pydantic.Field(..., description="Its value for the rows judged")
    reference: str = pydantic.Field(..., description="Its value for the rows compared with")
    min_share: float = pydantic.Field(..., ge=0, le=1, description="Smallest share that counts")
    level: SuiteParameterDict | float = pydantic.Field(
        ..., description="Probability of a false alarm"
    )
    metric_dependencies: ClassVar[tuple[str, ...]] = ("column.category_changes",)
    success_keys: ClassVar[tuple[str, ...]] = (*_SIDES, "min_share", "level")
    args_keys: ClassVar[tuple[str, ...]] = ("column", *success_keys)
    library_metadata: ClassVar[dict[str, Any]] = LIBRARY

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: Any = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        names = metrics["column.category_changes"]
        return {"success": not names, "result": {"observed_value": names}}


class ExpectTableColumnsToBeKnown(BatchExpectation):  # type: ignore[misc]
    """Expect the columns that have values to be the reference's, by name."""

    expectation_type: ClassVar[str] = "expect_table_columns_to_be_known"
    sides: str = pydantic.Field(..., description="Column that says which side a row is of")
    judged: str = pydantic.Field(..., description="Its value for the rows judged")
    reference: str = pydantic.Field(..., description="Its value for the rows compared with")
    metric_dependencies: ClassVar[tuple[str, ...]] = ("table.column_changes",)
    success_keys: ClassVar[tuple[str, ...]] = _SIDES
    args_keys: ClassVar[tuple[str, ...]] = _SIDES
    library_metadata: ClassVar[dict[str, Any]] = LIBRARY

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: Any = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        names = metrics["table.column_changes"]
        return {"success": not names, "result": {"observed_value": names}}


def _sides(
    engine: Any,
    domain: dict[str, Any],
    asked: dict[str, Any],
    kind: Any = MetricDomainTypes.COLUMN,
) -> tuple[Any, Any]:
    """The judged rows and the reference's, of those that the domain's condition leaves."""
    frame, _, _ = engine.get_compute_domain(domain, domain_type=kind)
    side = frame[asked["sides"]]
    return frame[side == asked["judged"]], frame[side == asked["reference"]]


def _values(column: Any) -> Any:
    return column.to_numpy(dtype=None if column.dtype.kind in "iufb" else object)
