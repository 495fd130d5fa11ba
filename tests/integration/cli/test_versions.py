"""`facet promote`, `rollback`, `policy`, `retire` and `redrive` on a deployed stack (moto's)."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from cli.app import app
from facet.errors import Violation
from facet.registry.models import Mode, Place, Policy, Status
from facet.registry.placement import Placement
from facet.registry.store import Registry
from tests.integration.conftest import REGION
from tests.support.versions import accept, backbone, head, make_live, pending

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

STACK = "facet-test"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, table_properties: dict[str, Any]) -> Iterator[None]:
    """An account with a stack that has Facet's outputs; its functions answer, and do nothing."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws(config={"lambda": {"use_docker": False}, "core": {"reset_boto3_session": True}}):
        boto3.client("cloudformation").create_stack(
            StackName=STACK, TemplateBody=json.dumps(_template(table_properties))
        )
        yield


def _template(table: dict[str, Any]) -> dict[str, Any]:
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}
    return {
        "Resources": {
            "Registry": {"Type": "AWS::DynamoDB::Table", "Properties": table},
            "UndeliveredUploads": {"Type": "AWS::SQS::Queue", "Properties": {}},
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {"AssumeRolePolicyDocument": trust},
            },
            "OnboardFunction": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "Handler": "index.handler",
                    "Runtime": "python3.12",
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Code": {"ZipFile": "handler = print"},
                },
            },
        },
        "Outputs": {
            "BucketName": {"Value": "models"},
            "RegistryName": {"Value": {"Ref": "Registry"}},
            "UndeliveredUploadsUrl": {"Value": {"Ref": "UndeliveredUploads"}},
            "OnboardFunctionName": {"Value": {"Ref": "OnboardFunction"}},
        },
    }


@pytest.fixture
def table(account: None) -> "Table":  # noqa: ARG001
    return boto3.resource("dynamodb").Table(_output("RegistryName"))


@pytest.fixture
def published(account: None) -> "EventQueue":  # noqa: ARG001
    return EventQueue()


class EventQueue:
    """A queue that receives all of Facet's events."""

    def __init__(self) -> None:
        self._sqs = boto3.client("sqs")
        self._url = self._sqs.create_queue(QueueName="received")["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["QueueArn"])
        events = boto3.client("events")
        events.put_rule(Name="all", EventPattern=json.dumps({"source": ["facet"]}))
        events.put_targets(
            Rule="all", Targets=[{"Id": "received", "Arn": arn["Attributes"]["QueueArn"]}]
        )

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        messages = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10)
        events = [json.loads(each["Body"]) for each in messages.get("Messages", [])]
        return [(each["detail-type"], each["detail"]) for each in events]


def _output(name: str) -> str:
    stack = boto3.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    return next(each["OutputValue"] for each in stack["Outputs"] if each["OutputKey"] == name)


def facet(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--stack", STACK])


def two_versions(table: "Table") -> tuple[str, str]:
    """An older one and the live one."""
    old, new = make_live(table, pending(1)), make_live(table, pending(2))
    return old.id, new.id


def test_promote_makes_a_version_live_and_publishes_it(
    table: "Table", published: EventQueue
) -> None:
    old, new = two_versions(table)
    done = facet("promote", "cifar", old)
    assert done.exit_code == 0, done.output
    assert done.stdout == f"cifar: {old} is live\n"
    assert Registry(table).model("cifar").live == old
    assert published.take() == [
        ("ModelPromoted", {"model": "cifar", "version": old, "by": "command", "previous": new})
    ]


def test_promoting_the_live_version_again_publishes_nothing(
    table: "Table", published: EventQueue
) -> None:
    _, new = two_versions(table)
    assert facet("promote", "cifar", new).exit_code == 0
    assert published.take() == []


def test_rollback_goes_back_to_the_version_before(table: "Table", published: EventQueue) -> None:
    old, new = two_versions(table)
    done = facet("rollback", "cifar", "--json")
    assert json.loads(done.stdout) == {"model": "cifar", "live": old, "previous": new}
    assert Registry(table).model("cifar").live == old
    assert published.take() == [
        ("ModelRolledBack", {"model": "cifar", "version": new, "by": "command", "live": old})
    ]


def test_rollback_goes_to_the_version_given(table: "Table") -> None:
    old, _ = two_versions(table)
    make_live(table, pending(3))
    assert facet("rollback", "cifar", old).exit_code == 0
    assert Registry(table).model("cifar").live == old


def test_rollback_ends_a_canary_first(table: "Table", published: EventQueue) -> None:
    old = make_live(table, pending(1)).id
    assert facet("policy", "cifar", "canary", "--percent", "20").exit_code == 0
    candidate = pending(2)
    assert accept(table, candidate) is Placement.CANDIDATE
    done = facet("rollback", "cifar")
    assert done.stdout == f"cifar: {old} is live, {candidate.id} was rolled back\n"
    model = Registry(table).model("cifar")
    assert (model.live, model.canary, model.rolled_back) == (old, None, candidate.id)
    assert published.take() == [
        (
            "ModelRolledBack",
            {"model": "cifar", "version": candidate.id, "by": "command", "live": old},
        )
    ]


def test_policy_is_shown_and_set(table: "Table") -> None:
    make_live(table, pending(1))
    assert facet("policy", "cifar").stdout.splitlines() == [
        "cifar: auto, a proven version answers at once",
        "cifar: runs where the stack says (RunIn)",
    ]
    assert facet("policy", "cifar", "canary", "--percent", "25").exit_code == 0
    assert facet("policy", "cifar", "canary", "--good-answers", "7").exit_code == 0
    assert Registry(table).model("cifar").policy == Policy(Mode.CANARY, 25, 7)
    assert "25 % of the requests" in facet("policy", "cifar").stdout
    document = json.loads(facet("policy", "cifar", "manual", "--json").stdout)
    assert document["policy"]["mode"] == "manual"


@pytest.mark.parametrize("place", ["endpoint", "function", "auto"])
def test_policy_sets_where_a_model_runs(table: "Table", place: str) -> None:
    make_live(table, pending(1))
    shown = facet("policy", "cifar", "--run-in", place)
    assert shown.exit_code == 0
    found = Registry(table).model("cifar")
    assert (found.run_in, found.policy) == (place, Policy())
    document = json.loads(facet("policy", "cifar", "manual", "--json").stdout)
    assert document["run_in"] == place, "a change of the mode leaves it"
    assert (
        json.loads(facet("policy", "cifar", "--run-in", "default", "--json").stdout)["run_in"]
        is None
    )
    assert Registry(table).model("cifar").run_in is None


TENSORFLOW_ONLY = {"litert_size": 0}
TOO_LARGE = {
    "litert_size": 9 << 30,
    "not_proven": {Place.FUNCTION: (Violation("too-large-for-function", "x", "too large", "y"),)},
}


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (TENSORFLOW_ONLY, "no LiteRT model"),
        (TOO_LARGE, "too large [too-large-for-function]"),
        ({"litert_size": 1}, "sweeper"),
    ],
)
def test_a_live_version_that_cannot_run_there_goes_on_answering_and_the_command_says_so(
    table: "Table", version: dict[str, Any], words: str
) -> None:
    live = make_live(table, replace(pending(1), **version))
    done = facet("policy", "cifar", "--run-in", "function")
    said = " ".join(done.stdout.split())
    assert f"live version {live.id} is not proven in the function and goes on answering" in said
    assert "on the endpoint" in said
    assert words in said
    assert done.exit_code == 0
    assert Registry(table).model("cifar").live == live.id


def test_nothing_is_said_of_a_live_version_that_runs_there(table: "Table") -> None:
    make_live(table, pending(1))
    assert "goes on" not in facet("policy", "cifar", "--run-in", "endpoint").stdout


@pytest.mark.parametrize("wrong", ["lambda", "", "Function"])
def test_policy_names_the_places_that_there_are(table: "Table", wrong: str) -> None:
    make_live(table, pending(1))
    refused = facet("policy", "cifar", "--run-in", wrong)
    assert refused.exit_code == 2
    assert all(each in refused.stderr for each in ("endpoint", "function", "auto", "default"))
    assert Registry(table).model("cifar").run_in is None


def test_a_policy_s_numbers_are_checked(table: "Table") -> None:
    make_live(table, pending(1))
    assert "need the policy canary" in facet("policy", "cifar", "--percent", "5").stderr
    assert facet("policy", "cifar", "canary", "--percent", "0").exit_code == 2
    assert facet("policy", "cifar", "sometimes").exit_code == 2


def test_retire_takes_one_version_out(table: "Table", published: EventQueue) -> None:
    old, _ = two_versions(table)
    for _ in range(2):
        assert facet("retire", "cifar", old).stdout == f"cifar: retired {old}\n"
    found = Registry(table).find("cifar", old)
    assert found
    assert found.status is Status.RETIRED
    assert published.take() == [
        ("ModelRetired", {"model": "cifar", "version": old, "by": "command"})
    ]


@pytest.mark.parametrize("version", [[], [backbone(1).id]])
def test_a_backbone_that_heads_depend_on_is_not_retired(table: "Table", version: list[str]) -> None:
    for number in (1, 2, 3):
        make_live(table, backbone(number))
    make_live(table, head(4, backbone(1)))
    refused = facet("retire", "mobilenet", *version, "--yes")
    assert refused.exit_code == 1
    assert "1 version of a head depends on" in refused.stderr
    assert "cats 000000000004" in refused.stderr
    assert Registry(table).model("mobilenet").live == backbone(3).id
    assert {each.status for each in Registry(table).versions("mobilenet")} == {Status.READY}


def test_retire_takes_a_whole_model_out_after_it_was_confirmed(table: "Table") -> None:
    old, new = two_versions(table)
    refused = facet("retire", "cifar")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: --yes is missing. No version")
    assert Registry(table).model("cifar").live == new
    assert json.loads(facet("retire", "cifar", "--yes", "--json").stdout)["retired"] == [new, old]
    assert Registry(table).model("cifar").live is None
    assert {each.status for each in Registry(table).versions("cifar")} == {Status.RETIRED}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["promote", "cifar", "0" * 12], "has no version '000000000000' that is READY"),
        (["promote", "cifar", "0" * 12], "READY. `facet show cifar` lists its versions"),
        (["promote", "cifar", "00000"], f"Did you mean '{1:012x}'?"),
        (["promote", "nothing", "0" * 12], "There is no model 'nothing'"),
        (["promote", "nothing", "0" * 12], "'nothing'. `facet models` lists the models"),
        (["promote", "cfiar", "0" * 12], "Did you mean 'cifar'?"),
        (["rollback", "cifa"], "Did you mean 'cifar'?"),
        (["rollback", "cifar"], "has no previous version to go back to. `facet show cifar`"),
        (["retire", "cifar", f"{1:012x}"], "promote another one first"),
        (["retire", "cifar", "0" * 12], "has no version"),
        (["policy", "nothing", "auto"], "There is no model 'nothing'"),
        (["policy", "nothing", "--run-in", "auto"], "There is no model 'nothing'"),
    ],
)
def test_errors_are_one_line(table: "Table", arguments: list[str], expected: str) -> None:
    make_live(table, pending(1))
    failed = facet(*arguments)
    assert (failed.exit_code, failed.stdout) == (1, "")
    assert expected in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_debug_shows_where_an_error_came_from(table: "Table") -> None:
    make_live(table, pending(1))
    failed = facet("--debug", "rollback", "cifar")
    assert type(failed.exception).__name__ == "NothingToRollBack"


@pytest.mark.usefixtures("account")
def test_a_stack_that_is_not_there(tmp_path: Path) -> None:
    missing = CliRunner().invoke(app, ["policy", "cifar", "--stack", "nowhere"])
    assert missing.stderr.startswith("error: stack nowhere: ")
    assert "check AWS_PROFILE" in missing.stderr
    here = CliRunner().invoke(app, ["policy", "cifar", "--home", str(tmp_path)])
    assert here.stderr.startswith("error: no stack runs on this machine; start one with `make run`")


def test_the_stack_on_this_machine_is_found_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = {
        "pid": os.getpid(),
        "region": REGION,
        "bucket": "models",
        "table": "registry",
        "dead_letter_queue_url": "http://127.0.0.1:9/q",
        "onboard_function": "OnboardFunction",
        "endpoint_url": "http://127.0.0.1:9",
        "endpoint": "models",
        "url": "http://127.0.0.1:9",
        "api_key": "key",
    }
    (tmp_path / "stack.json").write_text(json.dumps(address))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    failed = CliRunner().invoke(app, ["redrive", "--home", str(tmp_path)])
    assert failed.exit_code == 1
    assert "127.0.0.1:9" in failed.stderr


def event(key: str) -> str:
    return json.dumps({"Records": [{"s3": {"object": {"key": key}}}]})


@pytest.fixture
def dead_letters(account: None) -> "DeadLetters":  # noqa: ARG001
    return DeadLetters(boto3.client("sqs"), _output("UndeliveredUploadsUrl"))


class DeadLetters:
    """The stack's queue."""

    def __init__(self, sqs: Any, url: str) -> None:
        self._sqs = sqs
        self._url = url

    def put(self, *bodies: str) -> None:
        for body in bodies:
            self._sqs.send_message(QueueUrl=self._url, MessageBody=body)

    def there(self) -> set[str]:
        """All that can be received."""
        bodies: set[str] = set()
        while found := self._sqs.receive_message(QueueUrl=self._url).get("Messages"):
            bodies |= {each["Body"] for each in found}
        return bodies


def test_redrive_invokes_the_function_and_empties_the_queue(dead_letters: DeadLetters) -> None:
    dead_letters.put(*(event(f"mme/m{number}.tar.gz") for number in range(12)))
    done = facet("redrive")
    assert done.exit_code == 0, done.output
    assert done.stdout == "12 are being retried\n"
    assert sorted(done.stderr.splitlines()) == sorted(
        f"retried  mme/m{number}.tar.gz" for number in range(12)
    )
    assert dead_letters.there() == set()


def test_redrive_leaves_messages_that_are_not_uploads(dead_letters: DeadLetters) -> None:
    dead_letters.put(event("mme/a.tar.gz"), '{"other": 1}', "no json")
    done = facet("redrive", "--json")
    assert json.loads(done.stdout) == {"redriven": 1, "kept": 0, "left": 2, "dry_run": False}
    assert done.stderr == ""
    assert dead_letters.there() == {'{"other": 1}', "no json"}


def test_a_dry_run_changes_nothing(dead_letters: DeadLetters) -> None:
    bodies = {event(f"mme/m{number}.tar.gz") for number in range(3)}
    dead_letters.put(*bodies)
    done = facet("redrive", "--dry-run")
    assert done.stdout.startswith("3 would be retried")
    assert dead_letters.there() == bodies


def test_redrive_stops_at_its_limit(dead_letters: DeadLetters) -> None:
    dead_letters.put(*(event(f"mme/m{number}.tar.gz") for number in range(5)))
    assert json.loads(facet("redrive", "--limit", "2", "--json").stdout)["redriven"] == 2
    assert len(dead_letters.there()) == 3
