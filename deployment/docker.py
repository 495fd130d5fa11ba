"""Builds an image with Docker on this machine, by the script that CodeBuild runs."""

import base64
import io
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

from deployment.progress import ImageError, say
from deployment.sources import Sources

WITHOUT_DOCKER = "Or let AWS CodeBuild build it: the same command without DOCKER=1."


def require_docker() -> None:
    """Raises ImageError if Docker or its plug-in buildx is missing, or does not answer."""
    for command in (["docker", "info"], ["docker", "buildx", "version"]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        except FileNotFoundError as error:
            raise ImageError(f"DOCKER=1 needs Docker. {WITHOUT_DOCKER}") from error
        if done.returncode:
            reason = done.stderr.strip().partition("\n")[0]
            words = f"DOCKER=1 needs `{' '.join(command)}`, which fails: {reason}"
            raise ImageError(f"{words}\n{WITHOUT_DOCKER}")


@dataclass(frozen=True)
class Docker:
    """Docker on this machine, and the client of the registry that it pushes to."""

    ecr: Any

    def build(self, sources: Sources, image: str) -> None:
        """Builds an image and pushes it. Docker's output goes to standard error.

        Raises ImageError if it fails.
        """
        self._log_in(image)
        say("Docker builds the image.")
        with TemporaryDirectory() as folder:
            with zipfile.ZipFile(io.BytesIO(sources.archive)) as archive:
                archive.extractall(folder)
            built = subprocess.run(
                ["sh", "deployment/build.sh"],
                cwd=folder,
                env=os.environ | {"IMAGE": image, "REQUIREMENTS": sources.requirements},
                stdout=sys.stderr,
            )
        if built.returncode:
            raise ImageError(
                f"docker buildx failed with status {built.returncode}; its output is above. "
                f"{WITHOUT_DOCKER}"
            )

    def _log_in(self, image: str) -> None:
        """Logs Docker in with a token of ECR, which is valid for twelve hours."""
        (given, *_) = self.ecr.get_authorization_token()["authorizationData"]
        user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
        registry = image.partition("/")[0]
        done = subprocess.run(
            ["docker", "login", "--username", user, "--password-stdin", registry],
            input=password,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise ImageError(f"docker login {registry} failed: {done.stderr.strip()}")
