"""Where the stack on this machine is: `.facet/stack.json`, which exists while it runs."""

import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

FILE = "stack.json"


@dataclass(frozen=True)
class Address:
    """URLs, names and key by which clients on this machine reach the stack.

    `access_key_id` and `secret_access_key` are AWS credentials, which only this stack accepts.
    `url` and `api_key` are the API's, `endpoint_url` is AWS_ENDPOINT_URL, `events_url` lists the
    events on the bus. `pid` is the process of the stack. `endpoint_on` is false if the endpoint
    called `endpoint` was not made. Fields with a default are younger than the first release: the
    file of an older stack lacks them.
    """

    url: str
    api_key: str
    region: str
    bucket: str
    table: str
    endpoint: str
    endpoint_url: str
    dead_letter_queue_url: str
    onboard_function: str
    pid: int
    sagemaker_runtime_url: str = ""
    state_machine_arn: str = ""
    topic_arn: str = ""
    events_url: str = ""
    access_key_id: str = "local"
    secret_access_key: str = field(default="local", repr=False)
    delete_function: str = ""
    endpoint_on: bool = True

    @classmethod
    def read(cls, home: Path) -> Self:
        """Reads the file in `home`, ignoring keys that this version does not know.

        Raises FileNotFoundError where no stack runs, ValueError where the file is corrupt.
        """
        path = home / FILE
        try:
            document: dict[str, Any] = json.loads(path.read_text())
            known = {each.name for each in fields(cls)}
            return cls(**{name: value for name, value in document.items() if name in known})
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is corrupt: {error}") from error

    def write(self, home: Path) -> Path:
        """Writes the file whole or not at all, for its owner only, since it has the API's key."""
        path, part = home / FILE, home / f"{FILE}.part"
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(json.dumps(asdict(self), indent=2) + "\n")
        return part.replace(path)
