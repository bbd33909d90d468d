"""Great Expectations, held at arm's length: build expectations, evaluate them, write Data Docs.

It drops an expectation whose type it does not know, leaving a line in a log; here that is an
error. It draws progress bars, logs and asks for telemetry; here it is silent. Its import takes
about three seconds and happens in functions.
"""

from __future__ import annotations

import copy
import difflib
import logging
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from expectations.sentences import requirement
from expectations.suite_files import SuiteError

_BULKY = ("unexpected_list", "unexpected_index_list", "unexpected_index_query")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_LOGO = re.compile(r"https://great-expectations-web-assets[^\"\s]*logo-long\.png\?d=[^\"\s]*")
_LOCAL_TIME = re.compile(r"(?:2000-01-01|1999-12-31|2000-01-02) \d\d:\d\d:\d\d \w*")
# Data Docs name a page by the time of its run; a page that is kept by its content has none.
_NO_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def build(name: str, items: Sequence[Mapping[str, Any]]) -> Any:
    """An `ExpectationSuite` that holds every one of the items.

    Args:
        name: The suite's name.
        items: Expectations as in a suite file: type, kwargs, meta, severity, notes.

    Raises:
        SuiteError: A type is unknown, an argument is missing, misspelt or out of bounds, or an
            expectation got lost; the message names it.
    """
    with quiet():
        import great_expectations as gx

        built = [_build(item, name, place) for place, item in enumerate(items)]
        suite = gx.ExpectationSuite(name=name, expectations=built)
    if len(suite.expectations) != len(items):
        raise SuiteError(
            f"suite {name!r}: {len(items) - len(suite.expectations)} expectations lost"
        )
    return suite


def evaluate(suite: Any, frame: Any) -> Any:
    """Judge a pandas frame, with every row that fails, in the suite's order.

    Raises:
        SuiteError: An expectation broke on this frame.
    """
    with quiet():
        context = _context()
        asset = context.data_sources.add_pandas("signals").add_dataframe_asset("corpus")
        batch = asset.add_batch_definition_whole_dataframe("rows").get_batch({"dataframe": frame})
        result = batch.validate(
            suite,
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": ["row_id"],
            },
        )
    # They come grouped by column.
    result.results.sort(key=lambda one: one.expectation_config.meta["place"])
    for one in result.results:
        problem = _exception(one.exception_info)
        if problem:
            config = one.expectation_config
            raise SuiteError(
                f"suite {suite.name!r}: {config.type} over {config.kwargs.get('column')!r} "
                f"cannot be judged: {problem}"
            )
    return result


def build_docs(results: Sequence[Any], folder: Path) -> None:
    """Write Great Expectations' static site of some results.

    The pages are made without time stamps, random ids or the rows' texts, so equal results give
    equal bytes. The pictures of its how-to pop-ups (3.4 MB), which are off, are left out.

    Args:
        results: What `evaluate` returned, one per suite.
        folder: Where `index.html` is put; made if it is not there.
    """
    with quiet():
        from great_expectations.core.run_identifier import RunIdentifier
        from great_expectations.data_context.types import resource_identifiers as ids
        from great_expectations.render.renderer.site_builder import SiteBuilder

        context = _context()
        for result in results:
            suite = ids.ExpectationSuiteIdentifier(result.suite_name)
            run = RunIdentifier("corpus", _NO_TIME)
            context.validation_results_store.set(
                ids.ValidationResultIdentifier(suite, run, "rows"), _slim(result)
            )
        site = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
        SiteBuilder(
            data_context=context,
            store_backend=site,
            site_name="Plumbline",
            show_how_to_buttons=False,
            site_section_builders={"expectations": "None", "profiling": "None"},
        ).build()
    for picture in folder.rglob("*.gif"):
        picture.unlink()
    for page in sorted(folder.rglob("*.html")):
        up = "../" * (len(page.relative_to(folder).parts) - 1)
        page.write_text(_settled(page.read_text(encoding="utf-8"), up), encoding="utf-8")


@contextmanager
def quiet() -> Iterator[None]:
    """Great Expectations neither logs nor warns meanwhile."""
    logger = logging.getLogger("great_expectations")
    level, logger.level = logger.level, logging.CRITICAL
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.level = level


def _build(item: Mapping[str, Any], suite: str, place: int) -> Any:
    from great_expectations.compatibility import pydantic
    from great_expectations.expectations import registry

    import expectations.custom_comparisons  # noqa: F401  registers what the core does not have

    kind, kwargs = item["type"], dict(item["kwargs"])
    known = registry.list_registered_expectation_implementations()
    if kind not in known:
        near = difflib.get_close_matches(kind, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SuiteError(f"suite {suite!r}: there is no expectation {kind!r}{hint}")
    try:
        return registry.get_expectation_impl(kind)(
            **kwargs,
            meta={**(item.get("meta") or {}), "place": place},
            severity=item["severity"],
            notes=item.get("notes"),
            description=f"{requirement(kind, kwargs)}.",
        )
    except (pydantic.ValidationError, TypeError, KeyError, ValueError) as error:
        problems = "; ".join(str(error).splitlines()[1:]) or str(error)
        raise SuiteError(f"suite {suite!r}: {kind} cannot be used: {problems}") from error


def _context() -> Any:
    """A context that lives in memory, draws nothing and reports nothing to anyone."""
    import great_expectations as gx
    from great_expectations.data_context.types import base

    config = base.DataContextConfig(
        store_backend_defaults=base.InMemoryStoreBackendDefaults(),
        analytics_enabled=False,
        progress_bars=base.ProgressBarsConfig(globally=False),
    )
    return gx.get_context(mode="ephemeral", project_config=config)


def _exception(info: Any) -> str | None:
    """The message of an expectation's exception, which lies flat or under a metric's name."""
    candidates: Iterable[Any] = [info, *info.values()] if isinstance(info, dict) else []
    for candidate in candidates:
        if isinstance(candidate, dict) and candidate.get("raised_exception"):
            return str(candidate.get("exception_message"))
    return None


def _slim(result: Any) -> Any:
    """The result without its long lists and without the time at which it was made."""
    slim = copy.deepcopy(result)
    for one in slim.results:
        for name in _BULKY:
            one.result.pop(name, None)
    version = slim.meta["great_expectations_version"]
    slim.meta = {
        "great_expectations_version": version,
        "batch_kwargs": {"data_asset_name": "corpus"},
    }
    return slim


def _settled(page: str, up: str) -> str:
    """A page whose bytes depend on the results alone, and which fetches no stamped picture.

    Args:
        page: HTML.
        up: The way from the page to the site's folder.
    """
    seen: dict[str, str] = {}
    page = _LOGO.sub(f"{up}static/images/logo-long.png", page)
    page = _LOCAL_TIME.sub("-", page)
    return _UUID.sub(lambda found: seen.setdefault(found[0], f"id-{len(seen)}"), page)
