"""Where a version is proven: in every place where it may answer.

An upload is READY if it is proven in one place. It is rejected if it failed its proof where it is
to run first, or in each place that was asked. A place that cannot be asked now, because the
endpoint is away or busy, is proven later by the sweeper; until then the version answers elsewhere.
If it cannot, because it needs the endpoint or failed where the endpoint may not, its upload waits.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from facet.artifact import validation
from facet.errors import (
    EndpointRemoved,
    EndpointUnavailable,
    FacetError,
    LiteRTMissing,
    ModelLoading,
    Violation,
)
from facet.keys import ARTIFACT
from facet.manifest import AnyManifest
from facet.observability import logger
from facet.places.choice import PASSING, preferred, without_endpoint
from facet.registry.models import Place, RunIn, Version
from onboard.kinds import OnBackbone
from onboard.proof.prover import OF_THE_MOMENT, Proof, Prover
from onboard.proof.rows import AS_RECORDED
from onboard.retry import RetryPolicy

NEEDS_TENSORFLOW = Violation(
    "needs-tensorflow",
    ARTIFACT,
    "it has no LiteRT model, and the function runs nothing else",
    "add one (`facet pack` does), or let the model run on the endpoint",
)

BACKBONE_NOT_PROVEN = "backbone-not-proven"

CANNOT = {NEEDS_TENSORFLOW.code, "too-large-for-function", BACKBONE_NOT_PROVEN}
"""Violations of an artifact that only cannot run in the function, or where its backbone does not.
They reject an upload if its model's `run_in` demands the function."""

MAY_PASS_ELSEWHERE = {*OF_THE_MOMENT, *AS_RECORDED}
"""Violations in the function that the endpoint may not have: it has more memory and time, and AWS's
image runs the SavedModel. They do not reject an upload that is to run on an endpoint that is away.
"""

SILENT = 2
"""Versions of one event that a place may leave without an answer; a single one may be large."""


class Reached:
    """What one event found of each place, so that it does not ask again for each of its versions
    where a place is away, busy or hangs.
    """

    def __init__(self) -> None:
        self._left: dict[Place, int] = {}

    def knows(self, place: Place) -> bool:
        """Whether `found` was called for the place."""
        return place in self._left

    def found(self, place: Place, there: bool) -> None:
        """Records whether the stack has the place."""
        self._left[place] = SILENT if there else 0

    def failed(self, place: Place, error: FacetError) -> None:
        """Records that the place answered for no version, or left one without an answer."""
        if isinstance(error, LiteRTMissing):
            return
        loading = isinstance(error, ModelLoading)
        self._left[place] = self._left.get(place, SILENT) - 1 if loading else 0

    def is_there(self, place: Place) -> bool:
        """Whether to ask it for another version."""
        return self._left.get(place, SILENT) > 0


class Proven(NamedTuple):
    """A version with what its proofs found, and the violations for which to reject its upload.

    `waits` says why it must wait for the endpoint, if it was neither proven nor is to be rejected.
    """

    version: Version
    violations: Sequence[Violation] = ()
    waits: EndpointRemoved | None = None


class Places:
    """Proves versions with one prover for each place that the stack has.

    `run_in` is the stack's parameter RunIn.
    """

    def __init__(
        self, provers: Mapping[Place, Prover], run_in: RunIn, now: Callable[[], str]
    ) -> None:
        self._provers = provers
        self._run_in = run_in
        self._now = now

    def cannot(self, version: Version, backbone: Version | None = None) -> Version:
        """The version with why it cannot be proven in the function, as its artifact shows, or
        where its `backbone` failed its own proof.
        """
        if backbone or version.kind == "head":
            failed = backbone.not_proven if backbone else {}
            elsewhere = {each: _backbone_not_proven(each, failed[each]) for each in failed}
            return replace(version, not_proven={**elsewhere, **version.not_proven})
        reasons = {**version.not_proven, Place.FUNCTION: (NEEDS_TENSORFLOW,)}
        if version.litert_sha256 or Place.FUNCTION not in self._provers:
            del reasons[Place.FUNCTION]
        return replace(version, not_proven=reasons)

    def prove(
        self,
        version: Version,
        manifest: AnyManifest,
        golden: bytes | None,
        run_in: RunIn | None,
        retry: RetryPolicy,
        on: OnBackbone | None = None,
    ) -> Proven:
        """Proves the version of an upload; `run_in` is its model's, `on` what a head runs on.

        A head is proven in the places where its backbone is.

        Raises what `Prover.prove` raises if no place could be asked, except EndpointRemoved.
        """
        found, errors = version, list[FacetError]()
        for place in self._in_order(_places(version, on and on.backbone), run_in or self._run_in):
            patience = retry.later() if found.proven_in else retry
            try:
                found = self._proven(found, place, manifest, golden, patience, on)
            except PASSING as error:
                error.place = place
                errors.append(error)
        if violations := self._rejects(found, run_in, errors, on):
            return Proven(found, violations)
        if found.proven_in:
            return Proven(found)
        if not errors:
            raise EndpointUnavailable("This stack has no place where the backbone is proven.")
        passing = [each for each in errors if not isinstance(each, EndpointRemoved)]
        away = [*passing, *errors][0]  # Lambda tries an error that passes again within minutes
        if isinstance(away, EndpointRemoved):
            return Proven(found, waits=without_endpoint(_asked(found, on), away))
        raise away

    def askable(self, version: Version, reached: Reached, backbone: Version | None = None) -> bool:
        """Whether a place that lacks the version's proof can be asked: the endpoint may be away.

        A head can be proven where its `backbone` is. `reached` gets the answer.
        """
        places = _places(version, backbone)
        for place in places:
            if not reached.knows(place):
                has = place is Place.FUNCTION or self._has_endpoint(backbone or version)
                reached.found(place, place in self._provers and has)
        return any(map(reached.is_there, places))

    def _has_endpoint(self, version: Version) -> bool:
        if version.manifest is None:
            return False
        try:
            never = RetryPolicy.never()
            self._provers[Place.ENDPOINT].answers(version, version.manifest, never)
        except EndpointRemoved:
            return False
        except PASSING:
            return True
        return True

    def prove_missing(
        self,
        version: Version,
        manifest: AnyManifest,
        golden: bytes | None,
        retry: RetryPolicy,
        reached: Reached,
        on: OnBackbone | None = None,
    ) -> Version:
        """The READY version, with what its proofs in the places that lack one found.

        `on` is what a head runs on. A place that `reached` has as away is not asked; `reached` gets
        what each one did.
        """
        found = version
        for place in _places(version, on and on.backbone):
            if place not in self._provers or not reached.is_there(place):
                continue
            try:
                found = self._proven(found, place, manifest, golden, retry.later(), on)
            except PASSING as error:
                logger().info("not proven yet", target=version.target, place=place, why=str(error))
                reached.failed(place, error)
        return found

    def answers(self, version: Version, place: Place) -> bool:
        """Whether a version that is proven in that place is answered there now."""
        if place not in version.proven_in or version.manifest is None:
            return False
        try:
            return self._provers[place].answers(version, version.manifest, RetryPolicy.never())
        except FacetError:
            return False

    def _in_order(self, places: Sequence[Place], run_in: RunIn) -> Iterator[Place]:
        first = Place.ENDPOINT if run_in is RunIn.ENDPOINT else Place.FUNCTION
        for place in sorted(places, key=lambda each: each is not first):
            if place in self._provers:
                yield place

    def _proven(
        self,
        version: Version,
        place: Place,
        manifest: AnyManifest,
        golden: bytes | None,
        retry: RetryPolicy,
        on: OnBackbone | None,
    ) -> Version:
        prover = self._provers[place].on_backbone(on) if on else self._provers[place]
        proof = prover.prove(version, manifest, golden, retry)
        if proof.violations:
            codes = [each.code for each in proof.violations]
            logger().warning("not proven", target=version.target, place=place, codes=codes)
            reasons = validation.reported(proof.violations)
            return replace(version, not_proven={**version.not_proven, place: reasons})
        return _with(proof, version, place, self._now())

    def _rejects(
        self,
        found: Version,
        run_in: RunIn | None,
        errors: Sequence[FacetError],
        on: OnBackbone | None,
    ) -> Sequence[Violation]:
        """The violations that reject the upload; none if it is READY, or to be asked again."""
        demanded = found.not_proven.get(Place.FUNCTION, ())
        if run_in is RunIn.FUNCTION and demanded:
            return demanded
        failed = {
            place: reasons
            for place, reasons in found.not_proven.items()
            if not CANNOT.issuperset(each.code for each in reasons)
        }
        first = preferred(run_in or self._run_in, _asked(found, on))
        if first in failed:
            return failed[first]
        wait = any(not isinstance(each, EndpointRemoved) for each in errors)
        if found.proven_in or wait:
            return ()
        reasons = [each for reasons in found.not_proven.values() for each in reasons]
        if errors and MAY_PASS_ELSEWHERE.issuperset(each.code for each in chain(*failed.values())):
            return ()
        return reasons


def _asked(version: Version, on: OnBackbone | None) -> Version:
    """The version that a place is asked for."""
    return on.backbone if on else version


def _places(version: Version, backbone: Version | None) -> Sequence[Place]:
    """Where the version may still be proven now."""
    return [each for each in version.to_prove if not backbone or each in backbone.proven_in]


def _backbone_not_proven(place: Place, why: Sequence[Violation]) -> tuple[Violation, ...]:
    return (
        Violation(
            BACKBONE_NOT_PROVEN,
            place,
            f"the backbone is not proven in the {place}: {'; '.join(each.problem for each in why)}",
            "run the head where its backbone is proven, or teach it on another backbone",
        ),
    )


def _with(proof: Proof, version: Version, place: Place, now: str) -> Version:
    single = 1 in (proof.max_batch_size, version.max_batch_size)
    return replace(
        version,
        proof=proof.kind,
        max_batch_size=1 if single else None,
        proven_in={**version.proven_in, place: now},
        function_seconds=proof.seconds if place is Place.FUNCTION else version.function_seconds,
    )
