"""Words for where a model runs: on the endpoint, or in the function."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from cli.terminal.formatting import printable, reasons
from facet.errors import Violation
from facet.registry.models import Place, RunIn, Version
from facet.registry.reasons import endpoint_only

DEFAULT_PLACE = "default"
"""Where the stack's parameter RunIn says."""

SWEEPER = "the sweeper has it proven there; it takes up to 50 versions every 15 minutes"

WORDS = {Place.ENDPOINT: "on the endpoint", Place.FUNCTION: "in the function"}


class RunInOption(StrEnum):
    """The values of `facet policy --run-in`."""

    ENDPOINT = "endpoint"
    FUNCTION = "function"
    AUTO = "auto"
    DEFAULT = DEFAULT_PLACE


def run_in_text(run_in: RunIn | None) -> str:
    """Say where a model's versions are to run."""
    if run_in is None:
        return "runs where the stack says (RunIn)"
    if run_in is RunIn.AUTO:
        return "runs in the function if its LiteRT model is small and quick, else on the endpoint"
    return f"runs {WORDS[Place(run_in.value)]}"


def proven(places: Sequence[Place]) -> str:
    """Say where a version was proven: `on the endpoint and in the function`."""
    return " and ".join(WORDS[each] for each in Place if each in places)


def asked(places: Sequence[Place]) -> str:
    """Say where a version runs: the first place, and the one that answers if that is away."""
    return ", else ".join(each.value for each in places)


def elsewhere(live: Version, run_in: RunIn) -> Iterator[str]:
    """Explain that the live version goes on answering where it is proven, if that is elsewhere."""
    if (
        run_in is RunIn.AUTO
        or not live.proven_in
        or (wanted := Place(run_in.value)) in (live.proven_in)
    ):
        return
    yield (
        f"  the live version {live.id} is not proven {WORDS[wanted]} and goes on answering "
        f"{proven([*live.proven_in])}"
    )
    yield from why_not(live.not_proven, wanted, live.litert_size)


def waits(
    model: str,
    version: str,
    not_proven: Mapping[Place, Sequence[Violation]],
    litert_size: int | None,
) -> Iterator[str]:
    """Say why a version's upload waits for the endpoint, and what to do."""
    why, remedy = endpoint_only(not_proven, litert_size)
    yield printable(f"  it can be proven on the endpoint only, and there was none: {why}")
    yield printable(f"  → to use it without an endpoint, {remedy}")
    yield (
        "  → with an endpoint (EndpointOn, RestoreAt) it is tried again within two hours, or at "
        f"once if you upload it again; `facet watch {model} {version}` shows the result"
    )


def why_not(
    not_proven: Mapping[Place, Sequence[Violation]], place: Place, litert_size: int | None
) -> Iterator[str]:
    """Say why a version does not run in a place, and what to do."""
    if found := not_proven.get(place):
        yield from (f"  {line}" for line in reasons(found))
    elif place is Place.FUNCTION and litert_size == 0:
        yield "  it has no LiteRT model, which alone runs in the function"
        yield "  → upload an artifact with one (`facet pack` adds it)"
    elif place is Place.ENDPOINT:
        yield f"  → once there is an endpoint, {SWEEPER}"
    else:
        yield f"  → {SWEEPER}"
