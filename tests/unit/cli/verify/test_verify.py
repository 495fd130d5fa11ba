"""`facet verify`: findings of checks, what a run reports, and that it cleans up in any case."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from typer.testing import CliRunner

from cli.app import app
from cli.verify import carry_out as runs
from cli.verify import command
from cli.verify.carry_out import Plan, carry_out
from cli.verify.check import Check, Different, Finding, NotTried, Result, State, check
from cli.verify.checks import AFTER, AT_THE_END, BESIDE, CHECKS, FIRST, ON_REQUEST
from cli.verify.checks.cleaning import NotOwn, clean_up
from cli.verify.checks.predictions import golden_proof
from cli.verify.checks.training import training
from cli.verify.checks.wordings import model_error, no_endpoint, wording_408, wording_507
from cli.verify.price import estimate
from cli.verify.report import Redaction, Report, about, plain
from cli.verify.session import PREFIX, Session
from facet.errors import UnknownModel
from tests.support.aws.stubbed import client
from tests.support.processes.waiting import LONG
from tests.support.verifying import ACCOUNT, KEY, SAMPLE, SECRET, refused, session

Raises = Callable[[Session], Any]


@dataclass
class Written:
    """The S3 that a check puts objects into."""

    keys: list[str] = field(default_factory=list)

    def put_object(self, **given: Any) -> None:
        self.keys.append(given["Key"])


def raising(error: BaseException) -> Check:
    def attempt(_: Session) -> str:
        raise error

    return check("it", "It holds.")(attempt)


@pytest.mark.parametrize(
    ("error", "state", "found"),
    [
        (Different("another"), State.DIFFERENT, "another"),
        (NotTried("no need"), State.NOT_TRIED, "no need"),
        (UnknownModel("cats"), State.DIFFERENT, "There is no model 'cats'"),
        (refused("AccessDeniedException"), State.NOT_TRIED, "(AccessDeniedException)"),
        (refused("ValidationException"), State.DIFFERENT, "(ValidationException)"),
        (EndpointConnectionError(endpoint_url="x"), State.DIFFERENT, "Could not connect"),
        (KeyError("version"), State.DIFFERENT, "KeyError: 'version'"),
    ],
)
def test_each_error_is_a_finding(error: Exception, state: State, found: str) -> None:
    (finding,) = raising(error).findings(session())
    assert (finding.state, finding.assumption) == (state, "It holds.")
    assert found in finding.found


def test_a_check_may_have_a_finding_for_each_subject() -> None:
    both = [Result(State.SEEN, "a", "one"), Result(State.DIFFERENT, "b", "two")]
    found = Check("it", "It holds.", lambda _: both).findings(session())
    assert [(each.subject, each.state) for each in found] == [
        ("one", State.SEEN),
        ("two", State.DIFFERENT),
    ]


def test_names_of_checks_are_unique_and_their_assumptions_are_sentences() -> None:
    every = [*BESIDE, *FIRST, *AFTER, *AT_THE_END]
    assert len(every) == len(CHECKS)
    assert len({each.assumption for each in every}) == len(every)
    assert all(each.assumption.endswith(".") for each in every)


def ordered(monkeypatch: pytest.MonkeyPatch, *first: Check, last: Check) -> None:
    monkeypatch.setattr(runs, "BESIDE", ())
    monkeypatch.setattr(runs, "FIRST", first)
    monkeypatch.setattr(runs, "AFTER", ())
    monkeypatch.setattr(runs, "AT_THE_END", (last,))


def test_after_a_check_that_fails_the_next_ones_run(monkeypatch: pytest.MonkeyPatch) -> None:
    fine = Check("fine", "It is fine.", lambda _: "it is")
    ordered(monkeypatch, raising(Different("no")), fine, last=fine)
    shown: list[Finding] = []
    findings = carry_out(session(), Plan({"it", "fine"}), lambda _: None, shown.append)
    assert findings == shown
    assert [each.state for each in findings] == [State.DIFFERENT, State.SEEN, State.SEEN]


def test_what_is_left_out_is_reported_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    fine = Check("fine", "It is fine.", lambda _: "it is")
    ordered(monkeypatch, last=fine)
    findings = carry_out(session(), Plan((), {"hours": "why"}), lambda _: None, lambda _: None)
    assert [(each.check, each.found) for each in findings] == [("hours", "why"), ("fine", "it is")]
    assert findings[0].state is State.NOT_TRIED


@pytest.mark.parametrize("error", [KeyboardInterrupt(), AssertionError("a bug")])
def test_it_cleans_up_after_an_interruption_and_a_bug(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    cleaned: list[bool] = []

    def clean(own: Session) -> str:
        cleaned.append(own.stopped.is_set())
        return "done"

    last = Check("last", "It is clean.", clean)
    ordered(monkeypatch, raising(error), last=last)
    with pytest.raises(type(error)):
        carry_out(session(), Plan({"it"}), lambda _: None, lambda _: None)
    assert cleaned == [True]


def test_a_check_beside_the_others_ends_with_an_interruption_and_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    last = Check("last", "It is clean.", lambda _: "done")
    ordered(monkeypatch, raising(KeyboardInterrupt()), last=last)

    def waits(own: Session) -> str:
        own.stopped.wait(LONG)
        raise Different("the job was not stopped")

    monkeypatch.setattr(runs, "BESIDE", (Check("beside", "It trains.", waits),))
    shown: list[Finding] = []
    with pytest.raises(KeyboardInterrupt):
        carry_out(session(), Plan({"it", "beside"}), lambda _: None, shown.append)
    assert [(each.check, each.found) for each in shown] == [
        ("beside", "the job was not stopped"),
        ("last", "done"),
    ]


def test_after_an_interruption_no_training_starts() -> None:
    s3 = Written()
    own = session({"s3": s3})
    own.stopped.set()
    with pytest.raises(NotTried, match="interrupted"):
        training.attempt(own)
    assert len(s3.keys) == 1
    assert own.made == [own.name("trained")]


@pytest.mark.parametrize("existing", [True, False])
def test_an_interrupted_run_leaves_no_empty_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, existing: bool
) -> None:
    file = tmp_path / "report.json"
    if existing:
        file.write_text("{}")
    made = session(home=tmp_path)
    monkeypatch.setattr(command, "find", lambda *_: made.stack)
    monkeypatch.setattr(command, "connect", lambda _: made.api)
    monkeypatch.setattr(command, "_parameters", lambda _: {})

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_run", interrupted)
    done = CliRunner().invoke(app, ["verify", "--report", str(file)])
    assert done.exit_code == 130
    assert file.exists() == existing
    assert not existing or file.read_text() == "{}"


def test_nothing_waits_any_more_after_an_interruption() -> None:
    own = session()
    own.stopped.set()
    with pytest.raises(NotTried, match="interrupted"):
        own.pause(600)


def test_it_deletes_no_model_of_others() -> None:
    own = session()
    own.made.append("cats")
    with pytest.raises(NotOwn, match="its own models"):
        clean_up.attempt(own)
    other = session()
    assert own.run != other.run
    own.made[:] = [other.name("bad")]
    with pytest.raises(NotOwn, match="its own models"):
        clean_up.attempt(own)


class Objects:
    """A bucket with one object below each prefix of a model, and a function that AWS refuses."""

    def get_paginator(self, _: str) -> "Objects":
        return self

    def paginate(self, **request: str) -> Any:
        yield {"Contents": [{"Key": f"{request['Prefix']}/0123456789ab"}]}

    def invoke(self, **_: Any) -> Any:
        raise refused("AccessDeniedException")


def test_what_is_left_of_a_model_is_reported() -> None:
    own = session({"s3": Objects(), "lambda": Objects()})
    own.made.append(own.model)
    (finding,) = clean_up.findings(own)
    assert finding.state is State.DIFFERENT
    for prefix in ("mme/", "golden/", "lite/", "rejected/"):
        assert f"{prefix}{own.model}/0123456789ab" in finding.found


def test_each_name_is_of_the_run() -> None:
    own = session()
    assert {own.model, own.name("bad")} == {f"{PREFIX}{own.run}", f"{PREFIX}{own.run}-bad"}


def test_versions_of_the_sample_differ_in_their_bytes_only_where_they_should() -> None:
    one, two = SAMPLE.described("one"), SAMPLE.described("two")
    assert one != two
    assert SAMPLE.described("one") == one


class Runtime:
    """SageMaker's runtime: refuses every invocation."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        self.error = refused(code, message, **more)

    def invoke_endpoint(self, **_: Any) -> Any:
        raise self.error


def test_another_wording_is_reported_as_it_came() -> None:
    fakes = {"sagemaker-runtime": Runtime("ValidationError", "Could not find it")}
    (finding,) = no_endpoint.findings(session(fakes))
    assert finding.state is State.DIFFERENT
    assert json.loads(finding.found) == {"Code": "ValidationError", "Message": "Could not find it"}


def onboarding_logged(*lines: dict[str, str]) -> Session:
    """A session whose onboard function has logged these lines of JSON."""
    events = [
        {"timestamp": at * 1000, "message": json.dumps(each)} for at, each in enumerate(lines)
    ]
    group = {
        "LogicalResourceId": "OnboardLogs",
        "PhysicalResourceId": "/aws/lambda/facet-onboard",
        "ResourceType": "AWS::Logs::LogGroup",
        "LastUpdatedTimestamp": 0,
        "ResourceStatus": "CREATE_COMPLETE",
    }
    listed = {"StackResourceSummaries": [group]}
    return session(
        {
            "cloudformation": client("cloudformation", ("list_stack_resources", listed)),
            "logs": client("logs", ("filter_log_events", {"events": events})),
        }
    )


def test_what_the_platform_said_before_is_reported_as_it_came() -> None:
    cause = 'Received server error (507) from primary with message "{"error": "full"}"'
    (finding,) = wording_507.findings(onboarding_logged({"cause": "older"}, {"cause": cause}))
    assert finding.state is State.SEEN
    assert finding.found == f"1970-01-01T00:00:01+00:00: {cause}"
    (finding,) = wording_408.findings(onboarding_logged())
    assert (finding.state, finding.found.partition(":")[0]) == (
        State.NOT_TRIED,
        "onboarding has met none in the last 14 days",
    )


def test_without_the_permission_a_wording_is_not_tried() -> None:
    fakes = {"sagemaker-runtime": Runtime("AccessDeniedException", "not authorized")}
    (finding,) = no_endpoint.findings(session(fakes))
    assert finding.state is State.NOT_TRIED
    assert "not authorized" in finding.found


def test_what_needs_a_model_is_not_tried_without_one() -> None:
    own = session({"s3": NoBucket()})
    (first,) = golden_proof.findings(own)
    assert (first.state, "NoSuchBucket" in first.found) == (State.DIFFERENT, True)
    (second,) = model_error.findings(own)
    assert second.state is State.NOT_TRIED
    assert second.found.startswith("it needs a READY version of the sample: ")
    assert "NoSuchBucket" in second.found
    assert own.made == [own.model], "one upload was tried, not one for each check"


class NoBucket:
    def put_object(self, **_: Any) -> None:
        raise refused("NoSuchBucket")


def finding(state: State, found: str = "") -> Finding:
    return Finding("it", "It holds.", state, found, 0.1)


@pytest.mark.parametrize(
    ("states", "passed"),
    [
        ([State.SEEN, State.NOT_TRIED], True),
        ([State.SEEN, State.DIFFERENT], False),
        ([State.NOT_TRIED], False),
    ],
)
def test_a_report_passes_if_something_was_seen_and_nothing_else(
    states: list[State], passed: bool
) -> None:
    report = Report({"stack": "facet"}, [finding(each) for each in states])
    assert report.passed is passed
    assert report.document()["passed"] is passed
    assert report.document()["seen"] == states.count(State.SEEN)


def test_a_report_has_no_secrets() -> None:
    own = session(AllowOrigin="*", AlarmEmail="me@example.com")
    redact = Redaction.of(own)
    text = f"{KEY} {SECRET} key-id arn:aws:sagemaker:eu-central-1:{ACCOUNT}:endpoint/facet \x1b[2J"
    shown = redact.finding(finding(State.SEEN, text)).found
    assert shown.startswith("API-KEY SECRET-KEY ACCESS-KEY arn:aws:sagemaker:eu-central-1:ACCOUNT:")
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("arn", "shown"),
    [
        ("sts::1:assumed-role/Admin/me@example.com", "sts::1:assumed-role/Admin/PERSON"),
        ("sts::1:federated-user/me.b", "sts::1:federated-user/PERSON"),
        ("iam::1:user/team-a/me", "iam::1:user/PERSON"),
        ("iam::1:role/facet-HoursFunctionRole-1A", "iam::1:role/facet-HoursFunctionRole-1A"),
    ],
)
def test_a_report_does_not_name_the_person_whom_aws_refuses(arn: str, shown: str) -> None:
    text = "User: arn:aws:{} is not authorized to perform: sns:Publish"
    redact = Redaction.of(session())
    assert redact(text.format(arn)) == text.format(shown)


class SageMaker:
    """An endpoint that says which image its tag was resolved to."""

    def describe_endpoint(self, **_: Any) -> Any:
        image = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/facet@sha256:0123"
        return {"ProductionVariants": [{"DeployedImages": [{"ResolvedImage": image}]}]}


def test_a_report_says_what_was_verified_where_and_when() -> None:
    own = session({"sagemaker": SageMaker()}, AllowOrigin="*", AlarmEmail="me@example.com")
    described = about(own, Redaction.of(own))
    assert described["stack"] == "facet in eu-central-1"
    assert described["image"] == "ACCOUNT.dkr.ecr.eu-central-1.amazonaws.com/facet@sha256:0123"
    assert described["parameters"] == "AllowOrigin=*"
    assert datetime.fromisoformat(described["date"]) <= datetime.now(UTC)
    text = plain(Report(described, [finding(State.DIFFERENT, "no")]).lines())
    assert "\ndifferent  it: It holds.\n           → no (0.1 s)\n" in text
    assert text.endswith("\n0 seen, 1 different, 0 not tried\n")


def test_the_cost_of_a_run() -> None:
    least = estimate({"golden-proof"}, "us-east-1", "ml.m5.xlarge", 1)
    trained = estimate({"training"}, "us-east-1", "ml.m5.xlarge", 1)
    moved = estimate({"update"}, "eu-west-9", "ml.m5.xlarge", 2)
    assert 0 < least.dollars < 0.002
    assert trained.dollars - least.dollars == pytest.approx(0.408 * 5 / 60)  # as ml.c5.2xlarge
    assert moved.dollars - least.dollars == pytest.approx(0.23 * 0.5 * 2)
    assert "us-east-1, since the list has none of eu-west-9" in str(moved)


@pytest.mark.parametrize("option", ["--only", "--skip"])
def test_a_check_that_does_not_exist(option: str) -> None:
    done = CliRunner().invoke(app, ["verify", option, "rolback"])
    assert done.exit_code == 2
    assert "Did you mean 'rollback'?" in " ".join(done.output.replace("│", " ").split())


def test_what_changes_the_endpoint_is_tried_on_request_only() -> None:
    assert {"hours", "update"} == ON_REQUEST
