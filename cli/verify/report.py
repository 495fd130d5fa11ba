"""The report: what was verified where, and each finding; as text and as JSON, without secrets."""

import platform
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import boto3
import botocore
from botocore.exceptions import BotoCoreError, ClientError
from rich.text import Text

from cli.client.resources import named_image
from cli.extras import version
from cli.terminal.formatting import printable
from cli.terminal.output import facts
from cli.verify.check import Finding, State
from cli.verify.session import Session

STYLES = {State.SEEN: "green", State.DIFFERENT: "bold red", State.NOT_TRIED: "yellow"}
WIDTH = max(map(len, State))
PARAMETERS = ("InstanceType", "InstanceCount", "MaxInstances", "AllowOrigin", "GoldenRequired")
"""Template parameters that explain findings. None is a secret or an address."""

PERSON = re.compile(r"(:(?:user|federated-user|assumed-role/[^/\s]+)/)[\w+=,.@/-]+")
"""The user, or the session of a role, in an ARN: often a person's name or address."""


@dataclass(frozen=True)
class Redaction:
    """Replaces secrets, the account's number and the person's name in texts."""

    hidden: Mapping[str, str]

    @classmethod
    def of(cls, session: Session) -> "Redaction":
        """Hide the API's key, the credentials, and the account's number."""
        arn = session.stack.state_machine.split(":")
        hidden = {session.api.key: "API-KEY", arn[4] if len(arn) > 4 else "": "ACCOUNT"}
        if credentials := session.stack.session.get_credentials():
            frozen = credentials.get_frozen_credentials()
            hidden |= {
                frozen.access_key or "": "ACCESS-KEY",
                frozen.secret_key or "": "SECRET-KEY",
                frozen.token or "": "SESSION-TOKEN",
            }
        return cls({secret: name for secret, name in hidden.items() if secret})

    def __call__(self, text: str) -> str:
        for secret, name in self.hidden.items():
            text = text.replace(secret, name)
        return printable(PERSON.sub(r"\1PERSON", text))

    def finding(self, finding: Finding) -> Finding:
        return replace(finding, found=self(finding.found))


@dataclass(frozen=True)
class Report:
    """`about` says what was verified: the stack, its region and image, versions, the date."""

    about: Mapping[str, str]
    findings: Sequence[Finding]

    @property
    def counts(self) -> Counter[State]:
        return Counter(each.state for each in self.findings)

    @property
    def passed(self) -> bool:
        """Whether something was seen, and nothing else than what was assumed."""
        return bool(self.counts[State.SEEN]) and not self.counts[State.DIFFERENT]

    def document(self) -> dict[str, Any]:
        """The report for programs."""
        return {
            "passed": self.passed,
            **{state.replace(" ", "_"): self.counts[state] for state in State},
            "about": dict(self.about),
            "findings": [asdict(each) for each in self.findings],
        }

    def lines(self) -> Iterator[Text]:
        """The report for people."""
        yield from facts(self.about)
        for each in self.findings:
            yield from lines(each)
        yield summary(self)


def lines(finding: Finding) -> Iterator[Text]:
    """The assumption and what was found, two lines."""
    name = f"{finding.check}{f' {finding.subject}' if finding.subject else ''}"
    state = (f"{finding.state:{WIDTH}}  ", STYLES[finding.state])
    yield Text.assemble(state, (name, "bold"), f": {finding.assumption}")
    yield Text(f"{'':{WIDTH}}  → {finding.found} ({finding.seconds:.1f} s)")


def summary(report: Report) -> Text:
    """How many assumptions are in each state."""
    return Text(", ".join(f"{report.counts[state]} {state}" for state in State))


def about(session: Session, redact: Redaction) -> dict[str, str]:
    """Describe what is verified; if the image cannot be read, say why."""
    chosen = [f"{name}={session.parameters[name]}" for name in PARAMETERS if
              name in session.parameters]  # fmt: skip
    return {
        "stack": session.stack.name,
        "region": str(session.stack.session.region_name),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": session.run,
        "image": redact(_image(session)),
        "facet": version(),
        "versions": f"Python {platform.python_version()}, boto3 {boto3.__version__}, "
        f"botocore {botocore.__version__}",
        "parameters": redact(", ".join(chosen)),
    }


def _image(session: Session) -> str:
    """The container's image, by digest where SageMaker says what it resolved the tag to."""
    if session.local:
        return "none: the container runs from the checkout"
    sagemaker = session.client("sagemaker")
    try:
        found = sagemaker.describe_endpoint(EndpointName=session.stack.endpoint)
        images = [
            each["ResolvedImage"]
            for variant in found.get("ProductionVariants", [])
            for each in variant.get("DeployedImages", [])
        ]
        if images:
            return str(images[0])
        return named_image(sagemaker, session.stack.endpoint)
    except (BotoCoreError, ClientError, LookupError) as error:
        return f"unknown: {error}"


def plain(texts: Iterable[Text]) -> str:
    """The lines as a file has them."""
    return "".join(f"{each.plain}\n" for each in texts)
