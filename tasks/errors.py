"""Errors that a user can act on. Their message is all that a user sees, so it names the input."""

from __future__ import annotations


class UserError(Exception):
    """Something the user gave cannot be used; nothing was lost and nothing half written.

    Args:
        problem: What is wrong, naming the input and what was found there.
        remedy: What to do about it, as one sentence.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(f"{problem}\n  {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class Refused(UserError):
    """A stage finished, and what it found forbids going on (a failed critical expectation)."""


class StageFailed(Exception):
    """A stage broke in a way nobody foresaw. The message is for the user, the file for the developer.

    Args:
        stage: The stage's title.
        cause: What it raised.
        details: The file that holds its inputs and the traceback.
    """

    def __init__(self, stage: str, cause: BaseException, details: object) -> None:
        super().__init__(
            f"stage {stage!r} failed: {type(cause).__name__}: {cause}\n"
            f"  Inputs and traceback are in {details}; finished stages are kept and will be reused."
        )
