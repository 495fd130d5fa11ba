"""docs/training.md: its tables agree with the code, and its example input is valid."""

import json
import re
from pathlib import Path
from typing import get_args, get_type_hints

from facet.recipes import RECIPES, Hyperparameters, Metric
from train.input import Input, JobInput, parse
from train.quality_gate import Verdict

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/training.md").read_text()
MACHINE = (ROOT / "statemachine/train.asl.json").read_text()


def table(head: str) -> list[list[str]]:
    """The rows of the table whose first heading is `head`, as lists of cells."""
    (block,) = re.findall(rf"^\| {head} \|.*\n\|-.*\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_hyperparameter_is_documented() -> None:
    documented = [name for row in table("hyperparameter") for name in named(row[0])]
    assert sorted(documented) == sorted(
        each.replace("_", "-") for each in Hyperparameters.model_fields
    )


def test_recipes_have_the_documented_size_and_minimum() -> None:
    rows = {named(name)[0]: (size, minimum) for name, size, _, minimum in table("recipe")}
    assert rows.keys() == RECIPES.keys()
    for name, recipe in RECIPES.items():
        size, minimum = rows[name]
        usual = {"backbone": "mobilenet"} if recipe.defaults.backbone == "auto" else {}
        pixels = recipe.settings(usual).image_size
        assert size == f"{pixels}\N{MULTIPLICATION SIGN}{pixels}"
        floor = (
            f"accuracy {recipe.minimum:g}" if recipe.minimum else "above the most frequent class"
        )
        assert (recipe.metric, minimum) == ("accuracy", floor)


def test_every_field_of_a_job_is_documented_with_its_default() -> None:
    rows = {tuple(named(fields)): default for fields, default, _ in table("field of a job")}
    assert sorted(name for each in rows for name in each) == sorted(JobInput.model_fields)
    for (name, *_), default in rows.items():
        field = JobInput.model_fields[name]
        if default.startswith("`") and name != "metric":
            assert default == f"`{json.dumps(field.default)}`"
    assert {f"`{each.metric}`" for each in RECIPES.values()} == {rows["metric",]}
    assert f"train at once ({Input.model_fields['concurrency'].default})" in TEXT


def test_every_metric_that_may_decide_is_documented() -> None:
    (row,) = [row for row in table("field of a job") if row[0] == "`metric`"]
    assert {*named(row[1]), *named(row[2])} == set(get_args(Metric))


def test_every_outcome_is_documented() -> None:
    documented = {name for row in table("outcome") for name in named(row[0])}
    ends = set(re.findall(r'"outcome": "([A-Z_]+)"', MACHINE))
    verdicts = set(get_args(get_type_hints(Verdict)["verdict"]))
    assert documented == ends | verdicts - {"PUBLISH"}


def test_the_input_that_it_shows_is_valid() -> None:
    (block,) = re.findall(r"--input '(\{.*?\})'", TEXT, re.DOTALL)
    for job in parse(json.loads(block)).jobs:
        RECIPES[job.recipe].settings(job.hyperparameters)
