"""What people read: sizes, policies, violations, and nothing that a terminal obeys."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from cli.terminal.formatting import measures, moment, one_line, printable, reasons, short, size
from facet.errors import Violation
from facet.registry.models import Mode, Policy
from tests.support.processes.listening import listening


class Proxy(BaseHTTPRequestHandler):
    """Answers a page instead of AWS."""

    def do_POST(self) -> None:
        page = b"<!DOCTYPE html>\n<html><head><title>Blocked</title></head>\n<body>a<br>secret"
        self.send_response(403)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@pytest.mark.parametrize(
    ("service", "operation"),
    [("sts", "get_caller_identity"), ("sagemaker", "list_models"), ("sqs", "list_queues")],
)
def test_a_proxys_page_is_named_by_its_title(service: str, operation: str) -> None:
    """botocore raises another error for each protocol of AWS: XML, JSON 1.1, JSON 1.0."""
    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Proxy)) as server:
        client = boto3.client(  # type: ignore[call-overload]
            *(service, "us-east-1"),
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}),
        )
        with pytest.raises((ClientError, ResponseParserError)) as raised:
            getattr(client, operation)()
    shown = one_line(raised.value)
    assert shown.endswith(": a page 'Blocked' came instead of AWS's answer, perhaps from a proxy")
    assert "<" not in shown
    assert "secret" not in shown


def test_other_messages_are_kept() -> None:
    assert one_line(ValueError("a\n  b <c> 1 < 2")) == "a b <c> 1 < 2"
    assert one_line(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (99_940, "99.9 kB"),
        (99_960, "100 kB"),
        (999_600, "1.0 MB"),
        (4_500_000, "4.5 MB"),
        (5_000_000_000, "5.0 GB"),
        (5_000_000_000_000, "5000 GB"),
    ],
)
def test_sizes(count: int, expected: str) -> None:
    assert size(count) == expected


def test_nothing_that_a_terminal_obeys() -> None:
    assert printable("a\x1b[31mb\nc\u202ed é日:cat:") == "a�[31mb�c�d é日:cat:"
    assert printable("\u00a0in a traceback") == "\u00a0in a traceback"
    assert printable("\N{MAN}\u200d\N{GIRL}") == "\N{MAN}\u200d\N{GIRL}"
    expected = list(reasons([Violation("code", "place\x1b", "wrong\n", "mend\x07")]))
    assert expected == ["place�: wrong� [code]", "  → mend�"]


def test_policies_and_moments() -> None:
    assert short(Policy(Mode.MANUAL)) == "manual"
    assert short(Policy(Mode.CANARY, 5, 2000)) == "canary, 5 % until 2,000 good answers"
    assert moment("2026-02-01T12:34:56.789+00:00") == "2026-02-01 12:34"


def test_a_heads_accuracy_has_its_interval_and_images() -> None:
    metrics = {
        "accuracy": 0.9667,
        "accuracy_low": 0.8333,
        "accuracy_high": 0.9941,
        "images": 30.0,
        "correct": 29.0,
        "temperature": 0.1436,
    }
    expected = "accuracy 0.9667 (0.833 to 0.994, 30 images), temperature 0.1436"
    assert measures(metrics) == expected
    assert measures({"images": 3.0}) == "images 3.0000"
