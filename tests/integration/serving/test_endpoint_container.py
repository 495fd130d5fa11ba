"""The process of the local endpoint's container: replaced when it fails its pings."""

import asyncio
import sys
from pathlib import Path

import pytest

from local.endpoint.container import PING_FAILURES, Container, ContainerLost

SCRIPT = """
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    pings = 0
    def do_GET(self):
        Handler.pings += 1
        self.send_response(200 if Handler.pings <= 2 or self.path != "/ping" else STATUS)
        self.end_headers()
    def do_POST(self):
        self.send_response(503)
        self.end_headers()
        os._exit(70)

port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def container(folder: Path, status: int) -> Container:
    """It answers two pings with 200 and then with `status`; a POST with 503 before it ends."""
    command = (sys.executable, "-c", SCRIPT.replace("STATUS", str(status)))
    return Container("e", {}, folder / "log", command, ping_every=0.05)


@pytest.mark.parametrize(("status", "replaced"), [(503, True), (200, False)])
def test_a_container_that_fails_its_pings_is_replaced(
    tmp_path: Path, status: int, replaced: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        made = container(tmp_path, status)
        made.start()
        try:
            first = await made.ready()
            for _ in range(200 if replaced else 20):
                await asyncio.sleep(0.05)
                if made.generation != first:
                    break
            assert (made.generation != first) is replaced
            if replaced:
                assert await made.ready() > first
        finally:
            await made.stop()

    asyncio.run(asyncio.wait_for(scenario(), 300))
    assert caplog.text.count("fails its pings") >= replaced
    assert PING_FAILURES > 1, "one failure may be chance"


def test_a_request_to_a_container_that_is_about_to_end_is_lost_and_the_next_one_ready(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        made = container(tmp_path, 200)
        made.start()
        try:
            first = await made.ready()
            with pytest.raises(ContainerLost):
                await made.call("POST", "/models", headers={}, timeout=10)
            assert made.generation != first
            assert await made.ready() == made.generation
        finally:
            await made.stop()

    asyncio.run(asyncio.wait_for(scenario(), 300))
