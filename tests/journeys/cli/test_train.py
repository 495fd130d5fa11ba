"""`facet train` on a stack with its state machine: what it shows, and what it says at the end."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from tests.support.processes.waiting import LONG, wait_until
from tests.support.stacks import ROOT
from tests.support.trainer import Trainer, artifact


def facet(trainer: Trainer, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["train", "cifar10", *arguments, "--home", str(trainer.home)])


def test_a_good_model_is_ready_and_live(trainer: Trainer) -> None:
    trainer.dataset("good", artifact("good", 0.9))
    done = facet(trainer, "good")
    assert done.exit_code == 0, done.output
    first, metrics, reason, page = done.stdout.splitlines()
    assert first == f"good {trainer.live('good')}: READY, and live"
    assert metrics == "  validation_accuracy 0.9000"
    number = "validation_accuracy 0.9000 reaches the minimum 0.7500"
    assert reason == f"  {number}; there was no live version to compare with"
    assert page == f"  try it: {trainer.address.url}/?model=good"
    said = done.stderr.splitlines()
    assert re.fullmatch(r"good: execution good-[0-9a-f]{8}", said[0])
    job = next(line for line in said if line.startswith("good: training job good-good-"))
    epoch = next(line for line in said if line.startswith("good: epoch=1 loss=0.5 accuracy=0.8"))
    published = "good: published, onboarding checks it"
    assert said.index(job) < said.index(epoch) < said.index(published)


def test_for_programs_it_is_one_document(trainer: Trainer) -> None:
    trainer.dataset("data", artifact("data", 0.8))
    expected = facet(trainer, "data", "--model", "program", "--json")
    assert expected.exit_code == 0, expected.output
    assert expected.stderr == ""
    document = json.loads(expected.stdout)
    assert document["execution"].startswith("arn:aws:states:")
    assert (document["model"], document["outcome"], document["live"]) == ("program", "READY", True)
    assert document["version"] == trainer.live("program")
    assert document["metrics"] == {"validation_accuracy": 0.8}


def test_options_reach_the_training_job(trainer: Trainer) -> None:
    trainer.dataset("optional", artifact("optional", 0.6))
    given = ["--set", "epochs=3", "--minimum", "0.5", "--spot", "--max-runtime", "60"]
    given += ["--instance-type", "ml.c5.xlarge", "--instance-count", "2"]
    done = facet(trainer, "optional", *given, "--json")
    assert done.exit_code == 0, done.output
    job = trainer.sagemaker.describe_training_job(
        TrainingJobName=json.loads(done.stdout)["training_job"]
    )
    assert json.loads(job["HyperParameters"]["epochs"]) == "3"
    assert job["EnableManagedSpotTraining"] is True
    assert job["StoppingCondition"]["MaxRuntimeInSeconds"] == 60
    resources = job["ResourceConfig"]
    assert (resources["InstanceType"], resources["InstanceCount"]) == ("ml.c5.xlarge", 2)


def test_a_model_that_is_too_bad(trainer: Trainer) -> None:
    trainer.dataset("bad", artifact("bad", 0.5))
    done = facet(trainer, "bad")
    assert done.exit_code == 1
    assert re.match(r"bad [0-9a-f]{12}: BELOW_MINIMUM\n", done.stdout)
    assert "  validation_accuracy 0.5000 is below the minimum 0.7500\n" in done.stdout
    assert trainer.live("bad") is None


def test_a_model_that_onboarding_refuses(trainer: Trainer) -> None:
    trainer.dataset("wrong", artifact("wrong", 0.9, golden="truck"))
    done = facet(trainer, "wrong")
    assert done.exit_code == 1
    assert re.match(r"wrong [0-9a-f]{12}: REJECTED\n", done.stdout)
    assert "[golden-label]" in done.stdout
    assert "\n    → " in done.stdout


def test_a_training_job_that_fails(trainer: Trainer) -> None:
    trainer.dataset("no-images")
    done = facet(trainer, "no-images", "--model", "none")
    assert done.exit_code == 1
    first, reason, log = done.stdout.splitlines()
    assert first == "none: FAILED"
    assert "error: channel train has no images" in reason
    assert log.startswith("  its log: facet logs training none-none-")
    words = log.removeprefix("  its log: facet ").split()
    shown = CliRunner().invoke(app, [*words, "--home", str(trainer.home)])
    assert "error: channel train has no images" in shown.output
    assert "none: error: channel train has no images" in done.stderr.splitlines()


def test_a_data_set_that_is_not_there(trainer: Trainer) -> None:
    done = facet(trainer, "nothing", "--model", "lost")
    assert done.exit_code == 1
    assert done.stdout == ""
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: dataset nothing: there is nothing at s3://")
    assert "facet data" in last


def test_it_need_not_wait(trainer: Trainer) -> None:
    trainer.dataset("later", artifact("later", 0.9))
    done = facet(trainer, "later", "--no-wait", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["model"] == "later"
    assert trainer.reports(document["execution"])["later"]["outcome"] == "READY"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_execution_and_its_job(trainer: Trainer, number: signal.Signals) -> None:
    model = f"endless-{number.name.lower()}"
    trainer.dataset("endless")
    command = [str(Path(sys.executable).with_name("facet")), "train", "cifar10", "endless"]
    started = subprocess.Popen(
        [*command, "--model", model, "--home", str(trainer.home)],
        cwd=ROOT,
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def waiting() -> list[str]:
        return [job for job, line in trainer.lines if line == "waiting" and job.startswith(model)]

    with started:
        wait_until(waiting)
        started.send_signal(number)
        _, said = started.communicate(timeout=LONG)
    assert started.returncode == 130
    assert f"{model}: stopped the execution and its training job" in said.splitlines()
    listed = trainer.sfn.list_executions(stateMachineArn=trainer.address.state_machine_arn)
    (execution,) = [each for each in listed["executions"] if each["name"].startswith(model)]
    assert trainer.end(execution["executionArn"])["status"] == "ABORTED"
    (job,) = waiting()
    wait_until(
        lambda: (
            trainer.sagemaker.describe_training_job(TrainingJobName=job)["TrainingJobStatus"]
            == "Stopped"
        )
    )


def test_a_killed_job_is_continued_in_the_same_execution(trainer: Trainer) -> None:
    trainer.dataset("killed", artifact("killed", 0.9))
    done = facet(trainer, "killed")
    assert done.exit_code == 0, done.output
    said = done.stderr.splitlines()
    jobs = [line for line in said if line.startswith("killed: training job ")]
    assert [job[-5:] for job in jobs] == ["0-1-0", "0-2-0"]
    assert "killed: resumed=1 epochs_done=1" in said
    described = trainer.sagemaker.describe_training_job(TrainingJobName=jobs[0].split()[-1])
    reason = "AlgorithmError: killed (out of memory?), exit code: 137"
    assert described["FailureReason"] == reason


def test_a_stopped_execution_is_resumed(trainer: Trainer) -> None:
    def resume(execution: str, *options: str) -> Result:
        command = ["train", "--resume", execution, *options, "--home", str(trainer.home)]
        return CliRunner().invoke(app, command)

    def waiting() -> bool:
        return any(line == "waiting" and job.startswith("again") for job, line in trainer.lines)

    trainer.dataset("stopped", artifact("stopped", 0.6))
    job = {"model": "again", "dataset": "stopped", "minimum": 0.5}
    execution = trainer.start("last-week", job)
    wait_until(waiting)
    running = resume("last-week")
    assert running.exit_code == 1
    assert "error: execution last-week is still running" in running.stderr
    trainer.sfn.stop_execution(executionArn=execution)
    assert trainer.end(execution)["status"] == "ABORTED"
    unknown = "there is no execution 'last-weak' of this machine. Did you mean 'last-week'?"
    assert unknown in resume("last-weak").stderr
    done = resume("last-week", "--instance-type", "ml.m5.4xlarge")
    assert done.exit_code == 0, done.output
    assert re.match(r"again [0-9a-f]{12}: READY, and live\n", done.stdout)
    assert "again: resumed=1 epochs_done=1" in done.stderr.splitlines()
    (second,) = re.findall(r"again: training job (\S+)", done.stderr)
    described = trainer.sagemaker.describe_training_job(TrainingJobName=second)
    assert described["ResourceConfig"]["InstanceType"] == "ml.m5.4xlarge"
    (name,) = re.findall(r"again: execution (\S+)", done.stderr)
    again = resume(name, "--json")  # what it resumed is still where the checkpoint is
    assert json.loads(again.stdout)["outcome"] == "READY", again.output


def test_what_would_be_another_training_is_not_resumed(trainer: Trainer) -> None:
    given = facet(trainer, "--resume", "last-week")
    assert given.exit_code == 2
    assert "the training keeps its recipe" in " ".join(given.stderr.split())
