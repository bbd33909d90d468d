"""The decorator of compiled loops. Importing this file imports numba, which takes half a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function when it is first called, and keep the result in `__pycache__`.

    The interpreter's lock is not held while it runs. A kept result is as new as the function's own
    file, whatever files of other compiled functions it calls have changed; so such functions call
    only those of their own file.
    """
    return cast(F, njit(cache=True, nogil=True)(function))
