"""A stack whose own code and template are wrong in known ways, for what has to notice it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.stack import Stack
from tests.support.aws.moto_account import forget
from tests.support.stacks import ROOT

PARTS = ("functions", "layers", "statemachine", "template.yaml")
"""What a stack runs from."""

SERVICES = (
    *("s3", "dynamodb", "sqs", "sns", "lambda", "cloudformation", "iam", "sagemaker", "events"),
    "cloudwatch",
)


@dataclass(frozen=True)
class Break:
    """A line of a file, and what it is replaced with."""

    file: str
    line: str
    wrong: str


def broken_copy(folder: Path, breaks: tuple[Break, ...]) -> Path:
    """Copies the sources with the breaks in them; the copy's template."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, folder / part)
    for each in breaks:
        path = folder / each.file
        text = path.read_text()
        assert text.count(each.line) == 1, f"{each.file} has not one line {each.line!r}"
        path.write_text(text.replace(each.line, each.wrong))
    return folder / "template.yaml"


@contextmanager
def running(template: Path, home: Path, **parameters: str) -> Iterator[Stack]:
    """Runs a stack of this template in this process."""
    with Stack(template, home, parameters=parameters) as stack:
        yield stack
    forget(*SERVICES)
