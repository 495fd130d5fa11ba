"""The stack of images.yaml: the repository, the sources' bucket and the build project."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from deployment.progress import ImageError

NAME = "facet-images"
TEMPLATE = Path(__file__).resolve().parent / "images.yaml"


@dataclass(frozen=True)
class ImageStack:
    """A deployed stack. Its repository and its build project have its name."""

    name: str
    repository_uri: str
    bucket: str


def find(name: str, cloudformation: Any) -> ImageStack | None:
    """The stack of this name; None if there is none, or it has never been complete.

    Raises ImageError if it is another one, which a deploy would then replace.
    """
    try:
        (described,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])}
    if not outputs:
        return None
    try:
        return ImageStack(name, outputs["RepositoryUri"], outputs["SourcesBucket"])
    except KeyError as error:
        raise ImageError(
            f"The stack {name} is not that of deployment/images.yaml: it has no output {error}. "
            "Choose another name for the stack of the images (make image IMAGES=NAME)."
        ) from error


def deploy(name: str) -> None:
    """Creates or updates the stack with SAM, whose output goes to standard error.

    A stack that cannot be created is deleted again. Raises ImageError if SAM fails.
    """
    beside = Path(sys.executable).parent
    sam = shutil.which("sam", path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if sam is None:
        raise ImageError("The command sam is missing. Run `.ci/setup dev`.")
    command = [sam, "deploy", "--template-file", str(TEMPLATE), "--stack-name", name]
    command += ["--capabilities", "CAPABILITY_IAM", "--tags", "application=facet"]
    command += ["--no-confirm-changeset", "--no-fail-on-empty-changeset", "--on-failure", "DELETE"]
    if status := subprocess.run(command, stdout=sys.stderr).returncode:
        raise ImageError(
            f"The stack {name} of deployment/images.yaml was not deployed: sam ended with status "
            f"{status}, its output is above."
        )
