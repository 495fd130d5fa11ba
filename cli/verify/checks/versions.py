"""Two versions of a model: each by its id, a canary, a rollback, and how a version is loaded."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from urllib3.exceptions import HTTPError

from cli.verify.check import Different, NotTried, check
from cli.verify.session import Session
from facet.registry.models import Mode, Policy
from facet.registry.releases import Releases

PNG = "image/png"
CANARY = Policy(Mode.CANARY, percent=50, good_answers=5)
CANARY_SECONDS = 90.0
"""Each process of the predict function sees the registry's changes within 10 seconds."""

SWITCH_SECONDS = 45.0
METRICS_SECONDS, POLL = 300.0, 10.0
"""How late CloudWatch has SageMaker's metrics, at most."""

LOADING = ("ModelDownloadingTime", "ModelLoadingTime", "ModelLoadingWaitTime")
"""SageMaker's metrics of a model that was not loaded, in microseconds."""


@check("both-versions", "Two READY versions of a model both answer, each by its id.")
def both_versions(session: Session) -> str:
    _two(session)
    versions = [session.first().id, session.second().id]
    answered = [_answered_by(session, f"?version={each}") for each in versions]
    if answered != versions:
        raise Different(f"asked for {versions}, {answered} answered")
    return f"{' and '.join(answered)} answered"


@check("canary", "A canary shares the requests of two versions, and good answers promote it.")
def canary(session: Session) -> str:
    _two(session)
    live, candidate = session.first().id, session.second().id
    running = session.registry.model(session.model).canary
    if running is None or running.candidate != candidate:
        raise Different(f"{candidate} is no candidate of a canary but {running}")
    answers: Counter[str] = Counter()

    def promoted() -> bool | None:
        answers[_answered_by(session)] += 1
        return session.registry.model(session.model).live == candidate or None

    session.until(CANARY_SECONDS, promoted)
    now = session.registry.model(session.model)
    counted = ", ".join(f"{count} of {version}" for version, count in sorted(answers.items()))
    if now.live != candidate or set(answers) != {live, candidate}:
        raise Different(f"{counted}; {now.live} is live, and the canary is {now.canary}")
    return f"{counted}; then {candidate} was live"


@check("rollback", "After a rollback the previous version answers, within a minute.")
def rollback(session: Session) -> str:
    _two(session)
    releases = Releases(session.stack.registry())
    first, second = session.first().id, session.second().id
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    if session.registry.model(session.model).live != second:
        releases.promote(session.model, second, now)
    _until_answered_by(session, second)
    releases.rollback(session.model, now)
    _until_answered_by(session, first)
    return f"{second} answered, and after the rollback {first}"


@check(
    "cold-load", "A new version's proof downloads and loads it, and SageMaker measures how long."
)
def cold_load(session: Session) -> str:
    session.require_endpoint()
    session.ready()
    times = session.until(METRICS_SECONDS, lambda: _loading_times(session), every=POLL)
    if times is None:
        raise Different(
            f"CloudWatch has no data of {', '.join(LOADING)} for {session.stack.endpoint} "
            f"within {METRICS_SECONDS:.0f} s after a load"
        )
    return ", ".join(f"{name} at most {seconds:.2f} s" for name, seconds in times.items())


def _two(session: Session) -> None:
    """Make sure that the sample has two versions, the second as a canary of the first."""
    session.ready()
    if session.registry.model(session.model).policy != CANARY:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        Releases(session.stack.registry()).set_policy(session.model, CANARY, now)
    session.ready(session.second)


def _answered_by(session: Session, query: str = "") -> str:
    reply = session.predict(session.sample.image, PNG, query)
    return str(reply.document()["version"])


def _until_answered_by(session: Session, version: str) -> None:
    """Wait until only this version answers. Raises Different."""
    answers: list[str] = []

    def answered() -> bool | None:
        answers.append(_answered_by(session))
        return answers[-3:] == [version] * 3 or None

    if not session.until(SWITCH_SECONDS, answered):
        raise Different(f"{answers[-1]} still answers, not {version}")


def _loading_times(session: Session) -> dict[str, float] | None:
    """The longest times of loads since the run began, in seconds; None while one is missing."""
    found = _here(session) if session.local else _in_cloudwatch(session)
    return {name: found[name] / 1e6 for name in LOADING} if set(LOADING) <= set(found) else None


def _here(session: Session) -> dict[str, float]:
    """Read the local endpoint's metrics, which CloudWatch has on AWS."""
    try:
        answer = session.api.pool.request(
            "GET", f"{session.stack.sagemaker_runtime_url}/metrics", timeout=10, retries=False
        )
        metrics: dict[str, Any] = answer.json()[session.stack.endpoint]
    except (HTTPError, ValueError, LookupError) as error:
        raise NotTried(f"the local endpoint has no metrics: {error}") from error
    return {name: metrics[name]["Maximum"] for name in LOADING if name in metrics}


def _in_cloudwatch(session: Session) -> dict[str, float]:
    variant = {"EndpointName": session.stack.endpoint, "VariantName": "AllTraffic"}
    dimensions = [{"Name": name, "Value": value} for name, value in variant.items()]
    client = session.client("cloudwatch")
    begun = datetime.fromtimestamp(session.started, UTC) - timedelta(minutes=1)
    found = {}
    for name in LOADING:
        points = client.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName=name,
            Dimensions=dimensions,
            StartTime=begun,
            EndTime=datetime.now(UTC) + timedelta(minutes=1),
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
        if points:
            found[name] = max(each["Maximum"] for each in points)
    return found


CHECKS = (both_versions, canary, rollback, cold_load)
