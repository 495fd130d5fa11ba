"""What `facet logs` cannot do."""

from collections.abc import Iterable, Sequence

from facet.errors import FacetError

NEWEST = 5
"""Training jobs that a message names."""


class NoLog(FacetError):
    """There is no such log; the message says which there are."""

    @classmethod
    def of(cls, source: str, known: Iterable[str]) -> "NoLog":
        """Of a function that does not exist."""
        return cls(f"there is no log of {source}; there are {', '.join(known)}, training JOB")

    @classmethod
    def of_job(cls, job: str | None, newest: Sequence[str]) -> "NoLog":
        """Of a training job, or where none was named."""
        problem = f"training job {job} has written nothing" if job else "name a training job"
        there = ", ".join(newest[:NEWEST]) or "there was none yet"
        return cls(f"{problem}; the newest: {there}")
