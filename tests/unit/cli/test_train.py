"""`facet train`: its words, how it follows an execution, and where it reads logs."""

import io
import json
import re
import tarfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws
from rich.console import Console
from typer.testing import CliRunner
from typer.testing import Result as Finished

from cli.app import app
from cli.client.stack import Stack
from cli.logs.log_groups import TRAINING_JOBS
from cli.predict.results import Prediction, Result
from cli.terminal.output import Output
from cli.train import weights
from cli.train.examples import MAX_EXAMPLES, examples, held_out
from cli.train.execution import (
    STAGES,
    TRAINING,
    Execution,
    ExecutionStatus,
    JobReport,
    NoStateMachine,
    NotTrained,
    start,
)
from cli.train.logs import TrainingLogs
from cli.train.progress import ProgressReporter
from cli.train.report import confusion_lines, print_report
from cli.train.results import TrainingResults, read
from cli.train.run import Training, follow, run
from tests.support.inputs.backbones import weights_file
from tests.support.stacks import ROOT
from training.data.source import DataSource

REPORT = {"model": "pets", "outcome": "READY"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    # A local stack in the same process makes moto run state machines, which need a definition.
    with mock_aws(config={"stepfunctions": {"execute_state_machine": False}}):
        yield boto3.Session("testing", "testing", region_name="us-east-1")


def output(*, terminal: bool = False, as_json: bool = False) -> tuple[Output, io.StringIO]:
    written = io.StringIO()
    console = Console(
        file=written, force_terminal=terminal, width=120, highlight=False, _environ={}
    )
    return Output(as_json, results=console, remarks=console), written


# --- arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "name one, or an execution with --resume"),
        (["--resume", "monday", "--set", "epochs=3"], 2, "the training keeps its recipe"),
        (
            ["cifar"],
            2,
            "there is no recipe 'cifar'; choose cifar10, sign-language, image-folder, backbone",
        ),
        (["image-folder"], 2, "image-folder has no data set of its own"),
        (
            ["image-folder", "./pets"],
            2,
            "'./pets' is not a data set's name",
        ),
        (["image-folder", "pets", "--name", "dogs"], 2, "--name needs --upload"),
        (["image-folder", "My Pets", "--upload"], 1, "'My Pets' is not a valid name"),
        (["cifar10", "--set", "epochs"], 2, "write NAME=VALUE, not 'epochs'"),
        (["cifar10", "--set", "epochs=0"], 2, "epochs 0: Input should be greater"),
        (["cifar10", "--set", "epochs=2", "--set", "epochs=3"], 2, "epochs is given twice"),
        (["cifar10", "--set", "views=2"], 2, "views 2: has no effect, because cnn has no frozen"),
        (["cifar10", "--weights", "weights/vgg16/"], 2, "weights weights/vgg16/: cnn is trained"),
        (["cifar10", "--set", "speed=9"], 2, "speed: there is no such hyperparameter"),
        (["cifar10", "--model", "A B"], 2, "model A B: "),
        (["cifar10", "--instance-type", "m5"], 2, "instance_type m5: "),
        (["cifar10", "--minimum", "2"], 2, "2 is more than 1.0"),
        (["cifar10", "--weights", "nowhere.h5"], 1, "nowhere.h5 is neither a file nor a prefix"),
        (["cifar10", "--up", "--stack", "prod"], 2, "cannot be used with --stack or --no-wait"),
        (["cifar10", "--up", "--no-wait"], 2, "cannot be used with --stack or --no-wait"),
        (["cifar10", "--ask", "--no-wait"], 2, "cannot be used with --no-wait"),
        (["cifar10", "--home", "{}"], 1, "no stack runs on this machine"),
    ],
)
def test_wrong_arguments_start_nothing(
    arguments: list[str], code: int, message: str, tmp_path: Path
) -> None:
    words = [each.format(tmp_path) for each in arguments]
    failed = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["train", *words])
    assert failed.exit_code == code
    assert message in failed.output
    assert "Traceback" not in failed.output


def test_weights_are_a_file_or_a_prefix_in_the_bucket(tmp_path: Path) -> None:
    path = tmp_path / "vgg16.h5"
    path.write_bytes(b"weights")
    digest = "9a129038d9a0"
    assert weights.location(str(path)) == f"weights/{digest}/"
    assert weights.local_file(str(path)) == path
    assert weights.location("weights/vgg16/") == "weights/vgg16/"
    assert weights.local_file("weights/vgg16/") is None
    with pytest.raises(weights.NoWeights, match="weights/vgg16 is neither a file nor"):
        weights.location("weights/vgg16")


V2 = "backbone=mobilenet-v2"


@pytest.mark.parametrize(
    ("recipe", "settings", "problem"),
    [
        ("image-folder", [V2, "alpha=0.75"], "use --set backbone=mobilenet --set alpha=0.75"),
        ("image-folder", ["backbone=mobilenet"], "not of backbone=mobilenet alpha=1.0: use --set"),
        ("image-folder", ["alpha=0.5"], "not of backbone=auto alpha=0.5: use --set backbone="),
        ("sign-language", [], "not of backbone=vgg16 alpha=1.0: use --set backbone=mobilenet"),
    ],
)
def test_weights_of_another_backbone_are_refused_before_anything_is_uploaded(
    recipe: str, settings: list[str], problem: str, tmp_path: Path
) -> None:
    file = weights_file(tmp_path / "w.h5", "mobilenet", 0.75)
    failed = train(recipe, file, settings)
    assert failed.exit_code == 1
    assert failed.stderr.startswith(f"error: {file} has the weights of backbone=mobilenet alpha=0.")
    assert problem in failed.stderr


@pytest.mark.parametrize(
    ("backbone", "alpha", "more", "problem"),
    [
        ("vgg16", 1.0, [(25088, 4096), (4096, 1000)], "has more layers than a backbone"),
        ("mobilenet", 1.0, [(1, 1, 1024, 1000)], "has more layers than a backbone"),
        ("mobilenet-v2", 0.01, [], "has no weights of vgg16, mobilenet, mobilenet-v2"),
    ],
)
def test_weights_of_no_backbone_are_refused(
    backbone: str, alpha: float, more: list[tuple[int, ...]], problem: str, tmp_path: Path
) -> None:
    failed = train("image-folder", weights_file(tmp_path / "w.h5", backbone, alpha, *more), [])
    assert f"{problem}; give an .h5 file of keras.applications without its top" in failed.stderr


def test_a_file_of_another_kind_is_refused_as_weights(tmp_path: Path) -> None:
    (tmp_path / "w.h5").write_bytes(b"not HDF5")
    failed = train("image-folder", tmp_path / "w.h5", [])
    assert f"error: {tmp_path / 'w.h5'} is no HDF5 file" in failed.stderr


@pytest.mark.parametrize(
    ("backbone", "alpha", "recipe", "settings"),
    [
        ("mobilenet", 0.75, "image-folder", []),
        ("mobilenet", 0.75, "image-folder", ["alpha=0.75"]),
        ("mobilenet-v2", 0.35, "image-folder", [V2, "alpha=0.35"]),
        ("vgg16", 1.0, "sign-language", []),
    ],
)
def test_weights_that_fit_are_accepted(
    backbone: str, alpha: float, recipe: str, settings: list[str], tmp_path: Path
) -> None:
    """The next problem is that no stack runs."""
    file = weights_file(tmp_path / "w.h5", backbone, alpha)
    assert "no stack runs on this machine" in train(recipe, file, settings).stderr


def train(recipe: str, file: Path, settings: list[str]) -> Finished:
    sets = [word for each in settings for word in ("--set", each)]
    words = [recipe, "pets", "--weights", str(file), "--home", str(file.parent), *sets]
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, ["train", *words])


# --- the execution ----------------------------------------------------------------------------


class States:
    """Step Functions, of which one execution is known. Its events come in any order."""

    def __init__(self, status: str, *events: dict[str, Any], **more: str) -> None:
        self._found = {"status": status} | more
        self._events = events

    def describe_execution(self, **_: Any) -> dict[str, Any]:
        return self._found

    def get_execution_history(self, **_: Any) -> dict[str, Any]:
        numbered = [each | {"id": at} for at, each in enumerate(self._events, 1)]
        return {"events": numbered}


class SageMaker:
    def describe_training_job(self, **given: Any) -> dict[str, Any]:
        assert given == {"TrainingJobName": "pets-1"}
        return {"SecondaryStatus": "Downloading"}


def entered(name: str) -> dict[str, Any]:
    return {"stateEnteredEventDetails": {"name": name}}


def submitted(job: str, resource: str = "createTrainingJob.sync") -> dict[str, Any]:
    document = json.dumps({"TrainingJobArn": f"arn:aws:sagemaker:r:1:training-job/{job}"})
    return {"taskSubmittedEventDetails": {"resource": resource, "output": document}}


def status(*events: dict[str, Any], status: str = "RUNNING", **more: str) -> ExecutionStatus:
    states: Any = States(status, *events, **more)
    sagemaker: Any = SageMaker()
    return Execution("arn:aws:states:r:1:execution:m:pets-1", states, sagemaker).status()


def test_the_newest_reported_state_is_the_stage() -> None:
    assert status(entered("Plan")) == ExecutionStatus(STAGES["Plan"], "", None)
    assert status(entered("Plan"), entered("Train")) == ExecutionStatus("", "", None)
    training = (entered("Train"), submitted("pets-1"))
    assert status(*training) == ExecutionStatus("Downloading", "pets-1", None)
    again = status(*training, entered("WaitForCapacity"), entered("Where"))
    assert again == ExecutionStatus(STAGES["WaitForCapacity"], "pets-1", None)


def test_another_submitted_task_is_no_training_job() -> None:
    assert status(entered("Plan"), submitted("pets-1", "publish")).job == ""


def test_a_finished_execution_has_a_report() -> None:
    document = json.dumps({"jobs": [REPORT]})
    assert status(entered("Judge"), status="SUCCEEDED", output=document).report == REPORT


def test_an_execution_without_a_report_says_why() -> None:
    with pytest.raises(NotTrained, match=r"^dataset x: there is nothing$"):
        status(status="FAILED", error="BadInput", cause="jobs[0].dataset x: there is nothing")
    with pytest.raises(NotTrained, match=r"^execution pets-1 is ABORTED$"):
        status(status="ABORTED")


def test_the_states_are_those_of_the_machine() -> None:
    machine = json.loads((ROOT / "statemachine/train.asl.json").read_text())["States"]
    states = machine.keys() | machine["TrainEach"]["ItemProcessor"]["States"].keys()
    assert states >= {*STAGES, *TRAINING}
    tasks = json.dumps(machine)
    assert tasks.count(":sagemaker:createTrainingJob.sync") == len(TRAINING)


def test_starts_the_deployed_state_machine_with_the_job(aws: boto3.Session) -> None:
    states = aws.client("stepfunctions")
    machine = states.create_state_machine(
        name="train", definition="{}", roleArn="arn:aws:iam::123456789012:role/train"
    )["stateMachineArn"]
    job = {"model": "m" * 63, "recipe": "cifar10", "dataset": "cifar10"}
    execution = start(Stack("b", "t", "d", "o", aws, state_machine=machine), job)
    given = states.describe_execution(executionArn=execution.arn)
    assert json.loads(given["input"]) == {"jobs": [job]}
    assert given["name"].startswith("m" * 63)
    execution.stop()
    assert states.describe_execution(executionArn=execution.arn)["status"] == "ABORTED"
    with pytest.raises(NoStateMachine, match="old has no state machine"):
        start(Stack("b", "t", "d", "o", aws, name="old"), job)


# --- how it is followed -----------------------------------------------------------------------


def followed(out: Output) -> None:
    statuses = iter(
        [
            ExecutionStatus("planning", "", None),
            ExecutionStatus("Starting", "pets-1", None),
            ExecutionStatus("Starting", "pets-1", None),
            ExecutionStatus("", "", None),
            ExecutionStatus("", "pets-1", REPORT),
        ]
    )
    lines = iter(["epoch=1 loss=0.5", "INFO: of a library", "epoch=2 loss=0.4"])

    def new_lines(job: str) -> Iterator[str]:
        assert job == "pets-1"
        yield from islice(lines, 1)

    pauses: list[None] = []
    with ProgressReporter(out, "pets", 4) as reporter:
        report = follow(statuses.__next__, new_lines, reporter, lambda: pauses.append(None))
    assert report == REPORT
    assert len(pauses) == 4


def test_prints_a_line_for_each_event() -> None:
    out, written = output()
    followed(out)
    assert written.getvalue().splitlines() == [
        "pets: planning",
        "pets: training job pets-1",
        "pets: Starting",
        "pets: epoch=1 loss=0.5",
        "pets: epoch=2 loss=0.4",
    ]


def test_on_a_terminal_there_is_a_bar_of_epochs() -> None:
    out, written = output(terminal=True)
    followed(out)
    assert "pets: epoch=2 loss=0.4" in written.getvalue()
    assert "epoch 2 of 4" in written.getvalue()


def test_for_programs_nothing_is_said() -> None:
    out, written = output(as_json=True)
    followed(out)
    assert written.getvalue() == ""


def test_what_a_log_says_is_printable() -> None:
    out, written = output()
    with ProgressReporter(out, "pets", 1) as reporter:
        reporter.line("skipped=a\x1b[2J.jpg reason=broken")
    assert "\x1b" not in written.getvalue()


def test_who_cannot_follow_hears_that_it_goes_on(aws: boto3.Session) -> None:
    def unreachable(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://states")

    machine = aws.client("stepfunctions").create_state_machine(
        name="train", definition="{}", roleArn="arn:aws:iam::123456789012:role/train"
    )["stateMachineArn"]
    job = {"model": "pets", "recipe": "image-folder", "dataset": "pets"}
    training = Training(job, 1, DataSource("pets", "pets"), False, None, False, True)
    out, written = output()
    aws.events.register("before-call.sfn.DescribeExecution", unreachable)
    with pytest.raises(EndpointConnectionError):
        run(training, Stack("b", "t", "d", "o", aws, state_machine=machine), out)
    assert re.fullmatch(r"pets: execution pets-\w+ continues", written.getvalue().splitlines()[-1])


# --- the report -------------------------------------------------------------------------------


def printed(
    report: JobReport, *asked: Result, home: Path | None = None, as_json: bool = False
) -> str:
    out, written = output(as_json=as_json)
    none: Any = None
    stack = Stack("b", "t", "d", "o", none, cloudformation="prod", home=home)
    print_report(out, Execution("arn:pets-1", none, none), report, stack, None, asked)
    return written.getvalue()


def test_prints_how_to_see_a_version_that_is_not_live() -> None:
    report = {**REPORT, "version": "0123456789ab", "live": False, "reason": "good enough"}
    first, reason = printed(report).splitlines()
    assert first == ("pets 0123456789ab: READY, not live: facet show pets says why")
    assert reason == "  good enough"


def test_an_accuracy_is_printed_with_its_interval() -> None:
    metrics = {
        "test_loss": 0.5,
        "test_accuracy": 0.8205,
        "test_images": 713.0,
        "test_correct": 585.0,
        "test_accuracy_low": 0.7906,
        "test_accuracy_high": 0.847,
        "test_largest_class": 80.0,
    }
    report = {**REPORT, "version": "0123456789ab", "live": False, "metrics": metrics}
    _, line, *_ = printed(report).splitlines()
    assert line == "  test_loss 0.5000, test_accuracy 0.8205 (0.791 to 0.847, 713 images)"


def test_a_job_that_failed_says_why_and_where_its_log_is() -> None:
    report = {
        "model": "pets",
        "outcome": "FAILED",
        "reason": "AlgorithmError:\n error\x1b[2J",
        "training_job": "pets-1",
    }
    first, reason, log = printed(report).splitlines()
    assert (first, reason) == ("pets: FAILED", "  AlgorithmError: error�[2J")
    assert log == "  its log: facet logs training pets-1 --stack prod"
    assert printed(report, home=Path()).endswith("  its log: facet logs training pets-1\n")


def test_answers_are_a_table_or_part_of_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    answer = Result("test/cat/1.jpg", "0123456789ab", (Prediction(label="cat", score=0.9),))
    report = {**REPORT, "version": "0123456789ab", "live": True}
    first, heading = printed(report, answer).splitlines()
    assert first == "pets 0123456789ab: READY, and live"
    assert heading == "images that it was not trained on:"
    assert capsys.readouterr().out.splitlines()[1].split() == ["test/cat/1.jpg", "cat", "0.9000"]
    document = json.loads(printed(report, answer, as_json=True))
    assert document["execution"] == "arn:pets-1"
    (asked,) = document["asked"]
    assert (asked["image"], asked["predictions"]) == (
        "test/cat/1.jpg",
        [{"label": "cat", "score": 0.9}],
    )
    assert "asked" not in json.loads(printed(report, as_json=True))


@pytest.mark.parametrize(
    ("channels", "best"),
    [(("test", "validation", "train"), "test"), (("validation", "train"), "validation")],
)
def test_held_out_images_are_one_of_each_label_of_the_best_channel(
    aws: boto3.Session, channels: tuple[str, ...], best: str
) -> None:
    stack = with_images(aws, *channels)
    keys = held_out(stack, "pets")
    assert keys == [f"datasets/pets/{best}/{at:02}/1.png" for at in range(MAX_EXAMPLES)]
    found = list(examples(stack, "pets", keys))
    assert [each.name for each in found] == [key.removeprefix("datasets/pets/") for key in keys]
    assert found[0].data == keys[0].encode()


def test_images_of_the_training_channel_are_not_held_out(aws: boto3.Session) -> None:
    assert held_out(with_images(aws, "train"), "pets") == []


def with_images(aws: boto3.Session, *channels: str) -> Stack:
    """A stack whose data set `pets` has 12 labels with two images in each channel."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="images")
    for channel in channels:
        for label in range(12):
            for name in ("1.png", "2.png"):
                key = f"datasets/pets/{channel}/{label:02}/{name}"
                s3.put_object(Bucket="images", Key=key, Body=key.encode())
    return Stack("images", "t", "d", "o", aws)


# --- the job's results ------------------------------------------------------------------------

METRICS = {
    "labels": ["cat", "dog"],
    "confusion": {"validation": [[3, 1], [0, 4]], "test": [[5, 0], [2, 3]]},
    "examples": {"test": ["train/cat/7.png", "train/dog/9.png"]},
}


def packed(document: object, name: str = "metrics.json") -> bytes:
    content = json.dumps(document).encode()
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


@pytest.fixture
def job(aws: boto3.Session) -> Stack:
    """A stack with the training job `pets-1`, without an output."""
    aws.client("s3").create_bucket(Bucket="images")
    aws.client("sagemaker").create_training_job(
        TrainingJobName="pets-1",
        AlgorithmSpecification={"TrainingInputMode": "File"},
        RoleArn="arn:aws:iam::123456789012:role/train-models",
        OutputDataConfig={"S3OutputPath": "s3://images/jobs/a"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    return Stack("images", "t", "d", "o", aws)


def test_reads_the_results_of_the_test_channel_from_the_jobs_output(job: Stack) -> None:
    key = "jobs/a/pets-1/output/output.tar.gz"
    job.client("s3").put_object(Bucket="images", Key=key, Body=packed(METRICS))
    assert read(job, "pets-1") == TrainingResults(
        "test",
        ["cat", "dog"],
        [[5, 0], [2, 3]],
        ["train/cat/7.png", "train/dog/9.png"],
        f"s3://images/{key}",
    )


@pytest.mark.parametrize(
    "content",
    [None, b"", b"no archive", packed(METRICS, "other.json"), packed([]), packed({"labels": 1})],
)
def test_a_job_of_other_code_has_no_results(job: Stack, content: bytes | None) -> None:
    if content is not None:
        key = "jobs/a/pets-1/output/output.tar.gz"
        job.client("s3").put_object(Bucket="images", Key=key, Body=content)
    assert read(job, "pets-1") is None


def test_prints_the_confusion_matrix() -> None:
    results = TrainingResults.parse(METRICS, "s3://images/o.tar.gz")
    assert list(confusion_lines(results)) == [
        "test: 8 of 10 images right, accuracy 0.490 to 0.943 with 95 % confidence "
        "(charts: s3://images/o.tar.gz)",
        "rows: the true label, columns: the predicted one",
        "       cat dog",
        "  cat    5   ·",
        "  dog    2   3",
    ]


def test_of_many_labels_it_prints_the_largest_errors() -> None:
    labels = [f"label {at:02}" for at in range(20)]
    confusion = [[10 if row == column else 0 for column in range(20)] for row in range(20)]
    confusion[3][4], confusion[7][1] = 2, 5
    lines = list(confusion_lines(TrainingResults("test", labels, confusion, [], "s3://o")))
    assert lines == [
        "test: 200 of 207 images right, accuracy 0.932 to 0.984 with 95 % confidence "
        "(charts: s3://o)",
        "  label 07 predicted as label 01: 5 images",
        "  label 03 predicted as label 04: 2 images",
    ]


# --- logs -------------------------------------------------------------------------------------


def test_a_file_is_read_as_it_grows(tmp_path: Path) -> None:
    none: Any = None
    log = TrainingLogs(Stack("b", "t", "d", "o", none, home=tmp_path))
    assert list(log.new_lines("pets-1")) == []
    path = tmp_path / "logs/training/pets-1.log"
    path.parent.mkdir(parents=True)
    with path.open("w", buffering=1) as file:
        file.write("epoch=1\n")
        assert list(log.new_lines("pets-1")) == ["epoch=1"]
        assert list(log.new_lines("pets-1")) == []
        file.write("epoch=2\nepoch=3\n")
        assert list(log.new_lines("pets-1")) == ["epoch=2", "epoch=3"]


def test_a_stream_is_read_as_it_grows(aws: boto3.Session) -> None:
    logs = aws.client("logs")
    log = TrainingLogs(Stack("b", "t", "d", "o", aws))
    assert list(log.new_lines("pets-1")) == []
    logs.create_log_group(logGroupName=TRAINING_JOBS)
    assert list(log.new_lines("pets-1")) == []

    def write(stream: str, *lines: str) -> None:
        now = round(time.time() * 1000)
        events: Any = [{"timestamp": now, "message": line} for line in lines]
        logs.put_log_events(logGroupName=TRAINING_JOBS, logStreamName=stream, logEvents=events)

    for stream in ("pets-1/algo-1-17", "pets-10/algo-1-17"):
        logs.create_log_stream(logGroupName=TRAINING_JOBS, logStreamName=stream)
        write(stream, f"first={stream}")
    assert list(log.new_lines("pets-1")) == ["first=pets-1/algo-1-17"]
    assert list(log.new_lines("pets-1")) == []
    write("pets-1/algo-1-17", "epoch=1", "epoch=2")
    assert list(log.new_lines("pets-1")) == ["epoch=1", "epoch=2"]
