"""The assumptions that verify tries, grouped by the part of the stack that they concern."""

from cli.verify.check import Check
from cli.verify.checks import (
    alarms,
    cleaning,
    endpoint,
    predictions,
    requests,
    training,
    versions,
    wordings,
)

BESIDE: tuple[Check, ...] = training.CHECKS
"""Takes minutes, and runs beside the next ones."""

FIRST: tuple[Check, ...] = (
    *predictions.CHECKS,
    *requests.CHECKS,
    *versions.CHECKS,
    *wordings.CHECKS,
)

AFTER: tuple[Check, ...] = (*endpoint.CHECKS, *alarms.CHECKS)
"""Alarms watch what the others caused."""

AT_THE_END: tuple[Check, ...] = cleaning.CHECKS
"""Runs whatever happens."""

CHECKS: dict[str, Check] = {each.name: each for each in (*BESIDE, *FIRST, *AFTER, *AT_THE_END)}
ON_REQUEST = {each.name for each in endpoint.CHECKS}
"""Checks that change the endpoint."""
