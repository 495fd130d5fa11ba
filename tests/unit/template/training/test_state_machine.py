"""statemachine/train.asl.json agrees with the template, the function and the jobs' output."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from samcli.yamlhelper import yaml_parse

from facet.recipes import Metric
from local.training.description import Metrics
from train.app import STEP
from train.quality_gate import EVALUATED

ROOT = Path(__file__).parents[4]
TEXT = (ROOT / "statemachine/train.asl.json").read_text()
MACHINE: dict[str, Any] = json.loads(TEXT)
EACH: dict[str, Any] = MACHINE["States"]["TrainEach"]["ItemProcessor"]
RESOURCE = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]["TrainStateMachine"]
TASKS = {name: state for name, state in EACH["States"].items() if state["Type"] == "Task"}
EPOCH = "epoch=3 loss=0.1234 accuracy=0.9876 val_loss=0.2 val_accuracy=0.9 seconds=1.2"
FINAL = (
    "validation_accuracy=0.9876 validation_loss=0.2345 validation_balanced_accuracy=0.9"
    " test_accuracy=0.9 test_loss=1e-05 test_balanced_accuracy=0.8"
)


def followers(state: dict[str, Any]) -> Iterator[str]:
    for part in (state, *state.get("Choices", []), *state.get("Catch", [])):
        yield from (part[name] for name in ("Next", "Default") if name in part)


def test_placeholders_and_substitutions_match() -> None:
    places = set(re.findall(r"\$\{(\w+)\}", TEXT))
    assert places == set(RESOURCE["Properties"]["DefinitionSubstitutions"])


@pytest.mark.parametrize("scope", [MACHINE, EACH], ids=["machine", "job"])
def test_every_transition_has_a_target_and_every_state_is_reachable(scope: dict[str, Any]) -> None:
    reached, new = set(), {scope["StartAt"]}
    while new:
        reached |= new
        new = {each for name in new for each in followers(scope["States"][name])} - reached
    assert reached == set(scope["States"])


@pytest.mark.parametrize("name", TASKS)
def test_a_failed_task_of_a_job_does_not_stop_the_others(name: str) -> None:
    *_, last = TASKS[name]["Catch"]
    assert last["ErrorEquals"] == ["States.ALL"]
    state = EACH["States"][last["Next"]]
    if state["Type"] == "Pass":
        state = EACH["States"][state["Next"]]
    assert state["Type"] == "Choice"


def test_training_in_a_vpc_differs_only_in_the_vpc() -> None:
    outside, inside = (json.loads(json.dumps(TASKS[each])) for each in ("Train", "TrainInNetwork"))
    assert inside["Parameters"].pop("VpcConfig.$") == "$.job.network"
    del outside["Comment"], inside["Comment"]
    assert inside == outside


def test_a_failed_status_check_after_publication_is_not_a_failed_job() -> None:
    unknown = EACH["States"]["NotKnownNow"]
    assert TASKS["Outcome"]["Catch"][-1]["Next"] == "NotKnownNow"
    assert (unknown["Result"]["status"], unknown["Next"]) == ("UNKNOWN", "IsItOnboarded")


def every_retry(scope: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in scope["States"].items():
        yield from ((name, each) for each in state.get("Retry", []))


@pytest.mark.parametrize("scope", [MACHINE, EACH], ids=["machine", "job"])
def test_no_retrier_repeats_for_long_what_may_never_succeed(scope: dict[str, Any]) -> None:
    """A retrier sees an error's name, not its cause: a longer wait needs a state that reads it."""
    retriers = list(every_retry(scope))
    assert retriers
    for name, each in retriers:
        pauses = [
            min(
                each["IntervalSeconds"] * each["BackoffRate"] ** n, each.get("MaxDelaySeconds", 1e9)
            )
            for n in range(each["MaxAttempts"])
        ]
        assert sum(pauses) <= 180, name


def test_onboarding_is_polled_for_17_minutes() -> None:
    states = EACH["States"]
    assert states["NextRound"]["Parameters"]["seconds.$"] == "States.MathAdd($.round.seconds, 2)"
    (last,) = (
        each["NumericLessThan"]
        for each in states["IsItOnboarded"]["Choices"]
        if "NumericLessThan" in each
    )
    rounds = range(states["FirstRound"]["Result"]["seconds"], last + 1, 2)
    assert (len(rounds), sum(rounds) // 60) == (32, 17)


def test_a_temporary_fault_is_retried_and_does_not_lose_a_trained_model() -> None:
    """Only errors of the artifact itself are final; all others are retried."""
    final, fault = TASKS["Judge"]["Retry"][-2:]
    assert (set(final["ErrorEquals"]), final["MaxAttempts"]) == (
        {"NoManifest", "NoMetric", "TooLarge"},
        0,
    )
    assert fault["ErrorEquals"] == ["States.TaskFailed"]
    assert fault["MaxAttempts"] >= 3


@pytest.mark.parametrize(
    "name", [name for name, state in EACH["States"].items() if state.get("End")]
)
def test_every_end_of_a_job_makes_a_report(name: str) -> None:
    report = {key.removesuffix(".$") for key in EACH["States"][name]["Parameters"]}
    assert {"model", "outcome", "training_job", "reason"} <= report


def test_the_machine_calls_only_steps_that_the_function_knows() -> None:
    steps = set(re.findall(r'"step": "(\w+)"', TEXT))
    schema = STEP.json_schema()
    assert steps == set(schema["discriminator"]["mapping"])


def test_the_machine_uses_no_jsonata() -> None:
    assert "{%" not in TEXT
    assert "QueryLanguage" not in TEXT


def caught(*lines: str) -> dict[str, float]:
    algorithm = EACH["States"]["Train"]["Parameters"]["AlgorithmSpecification"]
    metrics = Metrics(algorithm["MetricDefinitions"])
    for line in lines:
        metrics.read(line)
    return {each["MetricName"]: each["Value"] for each in metrics.final()}


def test_the_metric_regexes_match_the_line_of_an_epoch() -> None:
    assert caught("starting", EPOCH) == {
        "train:loss": 0.1234,
        "train:accuracy": 0.9876,
        "validation:loss": 0.2,
        "validation:accuracy": 0.9,
        "epoch:seconds": 1.2,
    }


def test_the_metric_regexes_match_the_last_line() -> None:
    assert caught(FINAL) == {
        "final:validation_accuracy": 0.9876,
        "final:validation_loss": 0.2345,
        "final:validation_balanced_accuracy": 0.9,
        "final:test_accuracy": 0.9,
        "final:test_loss": 1e-05,
        "final:test_balanced_accuracy": 0.8,
    }


def test_the_metric_regexes_match_no_other_line() -> None:
    assert caught("skipped=red/broken.jpg", "recipe=cifar10 epochs=3 seed=1 flip=True") == {}


def test_every_metric_of_the_gate_has_a_regex() -> None:
    """`accuracy` and `balanced_accuracy` stand for those of one set or the other."""
    names = {f"final:{name}" for name in get_args(Metric) if name.startswith(EVALUATED)}
    assert names <= set(caught(FINAL))
