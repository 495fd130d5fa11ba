"""What `make run` prints, in its order: the address, the samples, their images, a curl line."""

import json
import os
import shlex
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local.demo import Demo, DemoFailed, SampleImage, artifacts, images, model_of, version_of
from local.gateway.server import PortTaken
from local.listeners import Listeners
from local.moto.aws import NONE
from local.moto.step_functions import Execution
from local.runtime.worker import Invocation
from local.stack import AlreadyRunning, Stack
from local.supported import UnsupportedTemplate
from local.training.description import Document
from local.training.layout import decoded

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
SAMPLES = ROOT / "samples"

Say = Callable[[str], None]


class Failed(Exception):
    """The stack cannot run; the message says what to do."""


def run(
    home: Path,
    port: int,
    stop: threading.Event,
    *,
    once: bool,
    say: Say,
    parameters: Mapping[str, str] = NONE,
) -> None:
    """Runs the stack with its state in `home`, until `stop` is set or, `once`, the end of the tour.

    `parameters` are the template's.

    Raises Failed.
    """
    start = time.monotonic()
    news = News(say)
    listeners = Listeners(news.invoked, news.trained, news.executed)
    where = os.path.relpath(home)
    try:
        with Stack(TEMPLATE, home, port, parameters=parameters, listeners=listeners) as stack:
            say(f"started in {time.monotonic() - start:.1f} s; its logs are in {where}/logs")
            address = stack.address
            say(f"\nAPI      {address.url}\nAPI key  {address.api_key}")
            say(f"Page     {address.url}/#key={address.api_key}\n")
            shown = _tour(Demo(stack.address), stop, say)
            if shown:
                say(f"\n{_curl(stack, shown)}")
            if not once and not stop.is_set():
                news.show = True
                say("\nserving until Ctrl-C ...")
                stop.wait()
            say("stopping ...")
    except PortTaken as error:
        raise Failed(
            f"port {port} is taken: stop what listens there, or choose: FACET_PORT=8001 make run"
        ) from error
    except AlreadyRunning as error:
        raise Failed(
            f"a stack runs already; {where}/stack.json says where. Stop it first."
        ) from error
    except (UnsupportedTemplate, DemoFailed) as error:
        raise Failed(str(error)) from error


def _tour(tour: Demo, stop: threading.Event, say: Say) -> SampleImage | None:
    """Onboards the samples and shows images; the first of them."""
    for artifact in artifacts(SAMPLES):
        if not tour.has(artifact):
            tour.onboard(artifact)
        say(f"{model_of(artifact):14} {version_of(artifact)}  READY")
    say("")
    first: SampleImage | None = None
    for image in images(SAMPLES):
        if stop.is_set():
            break
        first = first or image
        answer = tour.predict(image)
        say(f"{image.name:50} → {answer.label:12} {answer.score:.3f} {answer.milliseconds:7.1f} ms")
    return first


def _curl(stack: Stack, image: SampleImage) -> str:
    """A command line that asks about a sample image, from the working directory."""
    address = stack.address
    path = shlex.quote(os.path.relpath(ROOT / image.name))
    return (
        f"curl -H 'x-api-key: {address.api_key}' --data-binary @{path} "
        f"{address.url}/models/{image.model}/predict"
    )


class News:
    """Hears of everything, and says it once `show` is set."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.show = False
        self._say = say

    def invoked(self, _: str, invocation: Invocation) -> None:
        """One line for each upload that came to its end."""
        if invocation.error or not self.show:
            return
        answer = json.loads(invocation.payload)
        for each in answer.get("outcomes", []) if isinstance(answer, dict) else ():
            line = f"{each['model']:14} {each['version'] or '':12}  {each['outcome']}"
            for reason in each["violations"]:
                line += f"\n    {reason['code']}: {reason['problem']}; {reason['remedy']}"
            self._say(line)

    def trained(self, job: Document, line: str) -> None:
        """Each line of a training job's log, with the name of its model."""
        if self.show:
            model = job.get("HyperParameters", {}).get("model", job["TrainingJobName"])
            self._say(f"{decoded(model):14} | {line}")

    def executed(self, execution: Execution) -> None:
        """One line for an execution's end, and one for each of its jobs."""
        if not self.show:
            return
        reason = f"  {execution.error}: {execution.cause}" if execution.error else ""
        self._say(f"execution {execution.name}  {execution.status}{reason}")
        for job in (execution.output or {}).get("jobs", []):
            self._say(_reported(job))


def _reported(job: dict[str, Any]) -> str:
    version, reason = job.get("version", ""), job.get("reason", "")
    return f"{job['model']:14} {version:12}  {job['outcome']}  {reason}".rstrip()
