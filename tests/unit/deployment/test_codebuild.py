"""deployment/codebuild.py: how a build is started, joined, followed and reported."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployment.codebuild import CodeBuild
from deployment.progress import ImageError
from deployment.sources import Sources

SOURCES = Sources(b"zip", "requirements.txt", "litert-0123")
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/facet-images:litert-0123"


def described(number: int, status: str, phase: str, **more: Any) -> dict[str, Any]:
    variables = [{"name": "IMAGE", "value": IMAGE, "type": "PLAINTEXT"}]
    return {
        "id": f"facet-images:{number}",
        "buildStatus": status,
        "currentPhase": phase,
        "environment": {"environmentVariables": variables},
        **more,
    }


class FakeAws:
    """CodeBuild, S3 and CloudWatch Logs; a build goes through `states`, one with each look."""

    def __init__(self, *states: dict[str, Any], recent: tuple[dict[str, Any], ...] = ()) -> None:
        self.states = list(states)
        self.recent = {each["id"]: each for each in recent}
        self.started: list[dict[str, Any]] = []
        self.stored: dict[str, bytes] = {}
        self.refusal = ""
        self.log: list[str] | ClientError = []

    def list_builds_for_project(self, *, projectName: str, sortOrder: str) -> Any:  # noqa: N803
        assert (projectName, sortOrder) == ("facet-images", "DESCENDING")
        return {"ids": list(self.recent)}

    def batch_get_builds(self, *, ids: list[str]) -> Any:
        if len(ids) == 1 and self.states:
            self.recent[ids[0]] = self.states.pop(0)
        return {"builds": [self.recent[each] for each in ids]}

    def start_build(self, **request: Any) -> Any:
        if self.refusal:
            code = "AccountLimitExceededException"
            raise ClientError({"Error": {"Code": code, "Message": self.refusal}}, "StartBuild")
        self.started.append(request)
        return {"build": self.states.pop(0)}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803
        self.stored[f"{Bucket}/{Key}"] = Body

    def get_log_events(self, **request: Any) -> Any:
        assert request["startFromHead"] is False
        if isinstance(self.log, ClientError):
            raise self.log
        return {"events": [{"message": f"{line}\n"} for line in self.log]}


def build(aws: FakeAws) -> None:
    fake: Any = aws
    CodeBuild("facet-images", "sources", fake, fake, fake, sleep=lambda _: None).build(
        SOURCES, IMAGE
    )


def test_starts_a_build_of_the_uploaded_sources_and_waits_for_its_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    aws = FakeAws(
        described(1, "IN_PROGRESS", "QUEUED"),
        described(1, "IN_PROGRESS", "DOWNLOAD_SOURCE"),
        described(1, "IN_PROGRESS", "BUILD"),
        described(1, "SUCCEEDED", "COMPLETED"),
    )
    build(aws)
    (started,) = aws.started
    assert aws.stored == {started["sourceLocationOverride"]: b"zip"}
    variables = {each["name"]: each["value"] for each in started["environmentVariablesOverride"]}
    assert variables == {"IMAGE": IMAGE, "REQUIREMENTS": "requirements.txt"}
    assert not aws.states
    printed = capsys.readouterr()
    assert "CodeBuild: download source\nCodeBuild: build\n" in printed.err
    assert printed.out == ""


def test_joins_a_running_build_of_the_same_image() -> None:
    """`make image` that was interrupted, or a colleague's."""
    running = described(7, "IN_PROGRESS", "BUILD")
    aws = FakeAws(running, described(7, "SUCCEEDED", "COMPLETED"), recent=(running,))
    build(aws)
    assert aws.started == []
    assert not aws.states


def test_a_running_build_of_another_image_is_not_joined() -> None:
    other = described(7, "IN_PROGRESS", "BUILD")
    other["environment"] = {"environmentVariables": [{"name": "IMAGE", "value": "other"}]}
    ended = described(6, "FAILED", "COMPLETED")
    aws = FakeAws(described(8, "SUCCEEDED", "COMPLETED"), recent=(other, ended))
    build(aws)
    assert len(aws.started) == 1


FAILED = described(
    1,
    "FAILED",
    "COMPLETED",
    phases=[
        {"phaseType": "PRE_BUILD", "phaseStatus": "SUCCEEDED", "contexts": []},
        {
            "phaseType": "BUILD",
            "phaseStatus": "FAILED",
            "contexts": [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": "exit status 1"}],
        },
    ],
    logs={"groupName": "/aws/codebuild/facet-images", "streamName": "1", "deepLink": "https://log"},
)


def failure(aws: FakeAws) -> str:
    with pytest.raises(ImageError) as raised:
        build(aws)
    return str(raised.value)


def test_a_failed_build_is_reported_with_the_end_of_its_log() -> None:
    aws = FakeAws(FAILED)
    aws.log = ["pip install", "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES"]
    words = failure(aws)
    assert words.startswith("The build facet-images:1 ended as FAILED.\nBUILD: exit status 1\n")
    assert "\n    ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n" in words
    assert "https://log" in words
    assert "make image DOCKER=1" in words


def test_a_log_that_cannot_be_read_does_not_hide_the_failure() -> None:
    aws = FakeAws(FAILED)
    aws.log = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetLogEvents")
    words = failure(aws)
    assert "BUILD: exit status 1" in words
    assert "AccessDenied" in words


def test_a_build_that_never_ran_has_no_log() -> None:
    words = failure(FakeAws(described(1, "TIMED_OUT", "COMPLETED", logs={})))
    assert words.startswith("The build facet-images:1 ended as TIMED_OUT.\nIt has written no log.")


def test_a_new_accounts_quota_is_explained() -> None:
    aws = FakeAws()
    aws.refusal = "Cannot have more than 0 builds in queue for the account."
    words = failure(aws)
    assert aws.refusal in words
    assert "Service Quotas" in words
    assert "make deploy SERVING=aws" in words
