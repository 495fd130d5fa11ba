"""Errors of `facet logs`."""

from collections.abc import Iterable, Sequence

from facet.errors import FacetError

NEWEST = 5
"""Training jobs that a message names."""


class NoLog(FacetError):
    """There is no such log; the message lists the logs."""

    @classmethod
    def of(cls, source: str, known: Iterable[str]) -> "NoLog":
        """Make the error for an unknown function."""
        return cls(f"there is no log of {source}; choose {', '.join(known)}, training JOB|MODEL")

    @classmethod
    def of_job(cls, job: str | None, newest: Sequence[str]) -> "NoLog":
        """Make the error for a training job without a log, or if none was named."""
        problem = (
            f"no training job or model {job} has a log" if job else "name a training job or a model"
        )
        names = ", ".join(newest[:NEWEST]) or "none"
        return cls(f"{problem}; the newest are: {names}")
