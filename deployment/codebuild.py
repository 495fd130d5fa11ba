"""Builds an image in AWS CodeBuild, with the project of images.yaml."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deployment.progress import ImageError, say
from deployment.sources import Sources

POLL = 5.0
"""Seconds between two looks at a build."""

RECENT = 20
"""How many of the newest builds may still run. CodeBuild describes at most 100 at once."""

LOG_LINES = 40
WITHOUT_CODEBUILD = (
    "Or build it on this machine (make image DOCKER=1), or deploy AWS's container "
    "(make deploy SERVING=aws)."
)


@dataclass(frozen=True)
class CodeBuild:
    """A build project, and the clients that it takes to use it."""

    project: str
    bucket: str
    codebuild: Any
    s3: Any
    logs: Any
    sleep: Callable[[float], None] = time.sleep

    def build(self, sources: Sources, image: str) -> None:
        """Builds an image and pushes it. Joins a build of it that is running already.

        Raises ImageError, with the end of the build's log, if it does not succeed.
        """
        build = self._running(image) or self._start(sources, image)
        phase = ""
        while build["buildStatus"] == "IN_PROGRESS":
            if build.get("currentPhase", "") != phase:
                phase = build["currentPhase"]
                say(f"CodeBuild: {phase.lower().replace('_', ' ')}")
            self.sleep(POLL)
            (build,) = self.codebuild.batch_get_builds(ids=[build["id"]])["builds"]
        if build["buildStatus"] != "SUCCEEDED":
            raise ImageError(self._failure(build))

    def _running(self, image: str) -> Any:
        newest = self.codebuild.list_builds_for_project(
            projectName=self.project, sortOrder="DESCENDING"
        )
        ids = newest["ids"][:RECENT]
        builds = self.codebuild.batch_get_builds(ids=ids)["builds"] if ids else []
        for build in builds:
            variables = build.get("environment", {}).get("environmentVariables", [])
            if build["buildStatus"] == "IN_PROGRESS" and _variable("IMAGE", image) in variables:
                say(f"Joining the build {build['id']} of this image, which is running.")
                return build
        return None

    def _start(self, sources: Sources, image: str) -> Any:
        key = f"serving/{sources.tag}.zip"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=sources.archive)
        try:
            started = self.codebuild.start_build(
                projectName=self.project,
                sourceTypeOverride="S3",
                sourceLocationOverride=f"{self.bucket}/{key}",
                environmentVariablesOverride=[
                    _variable("IMAGE", image),
                    _variable("REQUIREMENTS", sources.requirements),
                ],
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccountLimitExceededException":
                raise
            raise ImageError(
                f"CodeBuild starts no build: {error.response['Error'].get('Message', '')} New "
                "accounts may have a quota of 0 builds. Request one in Service Quotas (AWS "
                f"CodeBuild, Concurrently running builds for Linux/Small). {WITHOUT_CODEBUILD}"
            ) from error
        say(f"CodeBuild builds the image, which takes minutes: {started['build']['id']}")
        return started["build"]

    def _failure(self, build: Any) -> str:
        """What the phases and the end of the log say."""
        words = [f"The build {build['id']} ended as {build['buildStatus']}."]
        for phase in build.get("phases", []):
            if phase.get("phaseStatus", "SUCCEEDED") != "SUCCEEDED":
                reasons = [each.get("message", "") for each in phase.get("contexts", [])]
                words.append(f"{phase['phaseType']}: {' '.join(reasons) or phase['phaseStatus']}")
        words += self._log(build.get("logs", {}))
        words.append(f"Fix the cause and run `make image` again. {WITHOUT_CODEBUILD}")
        return "\n".join(words)

    def _log(self, place: Any) -> list[str]:
        """The last lines of a build's log, indented."""
        if not place.get("streamName"):
            return ["It has written no log."]
        try:
            events = self.logs.get_log_events(
                logGroupName=place["groupName"],
                logStreamName=place["streamName"],
                limit=LOG_LINES,
                startFromHead=False,
            )["events"]
        except (BotoCoreError, ClientError) as error:
            return [f"Its log cannot be read ({error}); see {place.get('deepLink', '')}"]
        lines = [f"    {each['message'].rstrip()}" for each in events]
        return ["The end of its log:", *lines, f"All of it: {place.get('deepLink', '')}"]


def _variable(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value, "type": "PLAINTEXT"}
