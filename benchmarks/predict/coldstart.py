"""Times how long a fresh interpreter takes until the predict function can answer."""

import subprocess
import sys
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from samtranslator.yaml_helper import yaml_parse

REPOSITORY = Path(__file__).resolve().parents[2]
FUNCTION = "PredictFunction"
ROUNDS = 9
LIBRARIES = "boto3, numpy, Pillow, Powertools"

PROGRAMS = {
    LIBRARIES: (
        "import boto3, numpy, PIL.Image\n"
        "from aws_lambda_powertools import Logger\n"
        "from aws_lambda_powertools.event_handler import APIGatewayRestResolver\n"
    ),
    "predict.app, imported": "import predict.app\n",
    "predict.app, ready to answer": (
        "import predict.app\nfrom predict.clients import predictor\npredictor()\n"
    ),
}
"""The last also creates the AWS clients, as the function does at its first prediction."""

CLOCK = "import time\nbegan = time.perf_counter()\n{}print(time.perf_counter() - began)\n"

LAMBDA = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_LAMBDA_FUNCTION_NAME": FUNCTION,
}
"""Variables that Lambda adds to a function's environment."""


def environment(template: Path = REPOSITORY / "template.yaml") -> dict[str, str]:
    """The function's variables: literals, parameters' defaults, and placeholders for resources."""
    document = yaml_parse(template.read_text())
    function = document["Resources"][FUNCTION]["Properties"]
    variables = _variables(document["Globals"]["Function"]) | _variables(function)
    parameters = document["Parameters"]
    return LAMBDA | {name: _text(value, parameters) for name, value in variables.items()}


def _variables(function: Mapping[str, Any]) -> dict[str, Any]:
    variables: dict[str, Any] = function.get("Environment", {}).get("Variables", {})
    return variables


def _text(value: Any, parameters: Mapping[str, Any]) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return str(parameters.get(value.get("Ref", ""), {}).get("Default", "placeholder"))


def seconds(program: str, variables: Mapping[str, str]) -> float:
    """Runs the program in a new interpreter; seconds without the interpreter's own start."""
    completed = subprocess.run(
        [sys.executable, "-c", CLOCK.format(program)],
        env=variables,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(completed.stdout)


def measure(rounds: int = ROUNDS) -> dict[str, float]:
    """Medians of the programs, run in turn. The first round, which compiles, does not count."""
    variables = environment()
    runs: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for number, (name, program) in product(range(rounds + 1), PROGRAMS.items()):
        duration = seconds(program, variables)
        if number:
            runs[name].append(duration)
    return {name: median(durations) for name, durations in runs.items()}


def table(medians: Mapping[str, float]) -> list[str]:
    """A row per program, with its ratio to the libraries alone."""
    rows = [
        f"| {name} | {duration:.3f} | {duration / medians[LIBRARIES]:.2f} |"
        for name, duration in medians.items()
    ]
    return ["| imports | s | ratio |", "|---|---|---|", *rows]
