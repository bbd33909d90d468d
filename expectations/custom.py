"""Custom expectations, where Great Expectations' core has none: rare classes here, skew and drift beside.

Importing this module imports Great Expectations (about three seconds) and registers the
expectations, which only the runner does, and only when it runs. Metrics exist for the pandas
engine alone; another engine needs its own implementation of the same.

Thresholds have no defaults: a value equal to its default is left out when a suite is saved, and
a suite that does not say its limits cannot be read.
"""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.compatibility import pydantic
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.expectations.expectation import (
    ColumnAggregateExpectation,
    render_suite_parameter_string,
)
from great_expectations.expectations.metrics import (
    ColumnAggregateMetricProvider,
    column_aggregate_value,
)
from great_expectations.render import LegacyRendererType, RenderedStringTemplateContent
from great_expectations.render.renderer.renderer import renderer
from great_expectations.render.util import substitute_none_for_missing

LIBRARY = {
    "maturity": "production",
    "tags": ["text", "distribution"],
    "contributors": ["plumbline"],
    "requirements": [],
    "has_full_test_suite": True,
    "manually_reviewed_code": True,
}


def told(template: str, names: list[str]) -> Any:
    """The renderer of an expectation over a column: the sentence that Data Docs show.

    Args:
        template: What the column must do, `$name` standing for the expectation's own values.
        names: Those values, `column` among them.
    """

    @classmethod  # type: ignore[misc]
    @renderer(renderer_type=LegacyRendererType.PRESCRIPTIVE)  # type: ignore[untyped-decorator]
    @render_suite_parameter_string  # type: ignore[untyped-decorator]
    def prescriptive(
        cls: Any,
        configuration: Any = None,
        result: Any = None,
        runtime_configuration: Any = None,
        **_: Any,
    ) -> list[Any]:
        return _rendered(template, configuration, names, runtime_configuration)

    return prescriptive


def _rendered(template: str, configuration: Any, names: list[str], runtime: Any) -> list[Any]:
    """The sentence that Data Docs show, in the shape that its page builder asks for."""
    runtime = runtime or {}
    params = substitute_none_for_missing(configuration.kwargs if configuration else {}, names)
    if runtime.get("include_column_name") is not False:
        template = f"$column {template}"
    return [
        RenderedStringTemplateContent(
            content_block_type="string_template",
            string_template={
                "template": template,
                "params": params,
                "styling": runtime.get("styling"),
            },
        )
    ]


class ColumnRarestClass(ColumnAggregateMetricProvider):  # type: ignore[misc]
    """The rarest value of a column: its name, its share, and how many values there are."""

    metric_name = "column.rarest_class"
    value_keys = ()

    @column_aggregate_value(engine=PandasExecutionEngine)  # type: ignore[untyped-decorator]
    def _pandas(cls, column: Any, **_: Any) -> dict[str, Any]:  # noqa: B902, N805
        shares = column.value_counts(normalize=True)
        if not len(shares):
            return {"class": None, "share": 0.0, "classes": 0}
        rarest = min(shares.index[shares == shares.min()], key=str)
        return {"class": rarest, "share": float(shares.min()), "classes": len(shares)}


class ExpectColumnClassShareToBeAtLeast(ColumnAggregateExpectation):  # type: ignore[misc]
    """Expect even the rarest class to have its part of the rows.

    The share of the rarest class, relative to the even share 1 / classes, must be at least
    `of_even_share`; so one suite serves two classes and fifty. A class without any row cannot be
    known here and is not missed.
    """

    expectation_type: ClassVar[str] = "expect_column_class_share_to_be_at_least"
    of_even_share: float = pydantic.Field(
        ..., ge=0, le=1, description="Smallest share allowed, as part of an even share"
    )
    metric_dependencies: ClassVar[tuple[str, ...]] = ("column.rarest_class",)
    success_keys: ClassVar[tuple[str, ...]] = ("of_even_share",)
    args_keys: ClassVar[tuple[str, ...]] = ("column", "of_even_share")
    library_metadata: ClassVar[dict[str, Any]] = LIBRARY

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: Any = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        rarest = metrics["column.rarest_class"]
        relative = rarest["share"] * rarest["classes"]
        return {
            "success": bool(relative >= self.of_even_share),
            "result": {"observed_value": round(relative, 6), "details": rarest},
        }

    _prescriptive_renderer = told(
        "must give its rarest class at least $of_even_share of an even share of the rows.",
        ["column", "of_even_share"],
    )
