"""Commands in the manual's `sh` blocks, and whether the programs accept them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import typer.main
from botocore import xform_name

from cli.app import app
from tests.support.template.watching import STACK

ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SUBSTITUTION = re.compile(r"^([A-Z_]+)=\$\((.*)\)$")
"""A line that sets a variable to the output of a command."""
FUNCTION = re.compile(r"^\w+\(\) \{ (.*); \}$")
"""A line that defines a function of one command."""
VARIABLE = re.compile(r"\$([A-Z][A-Z_]*)")

S3_PLACES = {"cp": 2, "ls": 1, "rm": 1}
"""The commands of `aws s3` beyond S3's API, and how many places each takes."""
SERVICE_OF = {"s3api": "s3"}
GLOBAL_OPTIONS = {"--query", "--output", "--max-items"}
"""Options of every command of the AWS command line."""
MAKE_VARIABLES = {"STACK", "PARAMETERS", "ENV", "SERVING", "ARGS", "WALKTHROUGH"}
SHELL = {"output", "PATH"}
"""A function and a variable of the shell."""

SERVICES = botocore.session.get_session()
FACET: Any = typer.main.get_command(app)


def lines(text: str) -> Iterator[str]:
    """The lines of all `sh` blocks, without their comments."""
    for block in BLOCK.findall(text):
        for line in block.splitlines():
            if command := re.sub(r"(^|\s+)# .*", "", line):
                yield command


def commands(text: str) -> list[list[str]]:
    """The words of each line's command, without the variable or function that it defines."""
    inner = (FUNCTION.sub(r"\1", SUBSTITUTION.sub(r"\2", line)) for line in lines(text))
    return [words for each in inner if (words := shlex.split(each))[0].split("=")[0] not in SHELL]


def assigned(text: str) -> set[str]:
    """The variables that lines set."""
    return {match[1] for line in lines(text) if (match := SUBSTITUTION.match(line))}


def used(text: str) -> set[str]:
    """The variables that commands use."""
    return {name for line in lines(text) for name in VARIABLE.findall(line)} - {"PATH", "PWD"}


def check(words: list[str]) -> None:
    """Fails if the program would not accept the command, or the command is none of ours."""
    match words:
        case ["facet", name, *arguments]:
            FACET.commands[name].make_context(name, arguments)
        case ["make", target, *arguments]:
            _check_make(target, arguments)
        case ["aws", "s3", name, *places]:
            assert len(places) == S3_PLACES[name]
            keys = [each for each in places if each.startswith("s3://")]
            assert keys
            assert all(re.match(r"s3://\$\w+/(mme|rejected)/", each) for each in keys)
        case ["aws", service, operation, *options]:
            _check_aws(service, operation, {each for each in options if each[:2] == "--"})
        case _:
            assert words[:2] in (["git", "checkout"], ["sam", "local"]), words


def _check_make(target: str, arguments: list[str]) -> None:
    targets = re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert target in targets
    given = dict(word.split("=", 1) for word in arguments)
    assert given.keys() <= MAKE_VARIABLES
    parameters = given.get("PARAMETERS", "").split()
    parameters += re.findall(r"--parameter (\S+)", given.get("ARGS", ""))
    STACK.check(dict(each.split("=", 1) for each in parameters))


def _check_aws(service: str, operation: str, options: set[str]) -> None:
    model = SERVICES.get_service_model(SERVICE_OF.get(service, service))
    operations = {xform_name(each, "-"): each for each in model.operation_names}
    shape = model.operation_model(operations[operation]).input_shape
    assert shape is not None
    types = {f"--{xform_name(name, '-')}": each.type_name for name, each in shape.members.items()}
    switches = {f"--no-{each[2:]}" for each, kind in types.items() if kind == "boolean"}
    assert options <= types.keys() | switches | GLOBAL_OPTIONS
    assert {f"--{xform_name(each, '-')}" for each in shape.required_members} <= options
