"""Runs in the container's sandbox beside the server: `python inside_container.py PLAN`.

PLAN is JSON: the server's `command`, its `requests` (method, path, body), and addresses to
`connect` to. Starts the server, sends the requests, and prints what it answered, which folders can
be written, which files the server wrote, and which addresses could be reached. Standard library
only.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

URL = "http://127.0.0.1:8080"
LEVELS = 4
"""How deep folders are tried."""


def answer(method: str, path: str, body: object = None) -> tuple[int, str]:
    """Status and body. Raises OSError if the server cannot be reached."""
    content = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(URL + path, content, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=300) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait(server: "subprocess.Popen[bytes]") -> float:
    """Seconds until /ping answers. Exits if the server ends before."""
    began = time.monotonic()
    while True:
        if server.poll() is not None:
            sys.exit(f"the server ended with {server.returncode}")
        try:
            assert answer("GET", "/ping")[0] == 200
        except OSError:
            time.sleep(0.02)
        else:
            return time.monotonic() - began


def writable() -> list[str]:
    """The folders in which a file can be made; without /proc and /dev."""
    found = []
    for folder, folders, _ in os.walk("/"):
        if folder == "/":
            folders[:] = [each for each in folders if each not in ("proc", "dev")]
        elif folder.count("/") >= LEVELS:
            folders.clear()
        probe = Path(folder, "probe")
        try:
            probe.touch(exist_ok=False)
        except OSError:
            continue
        probe.unlink()
        found.append(folder)
    return found


def reached(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def main(plan: Any) -> None:
    """Print the report."""
    server = subprocess.Popen(plan["command"])
    seconds = wait(server)
    answers = [answer(*each) for each in plan["requests"]]
    written = [str(each) for each in Path("/tmp").rglob("*") if each.is_file()]
    process = Path("/proc/self/status").read_text().splitlines()
    (capabilities,) = [line.split()[1] for line in process if line.startswith("CapEff:")]
    report = {
        "seconds": seconds,
        "answers": answers,
        "written": written,
        "writable": writable(),
        "reached": [host for host, port in plan["connect"] if reached(host, port)],
        "user": os.getuid(),
        "capabilities": int(capabilities, 16),
    }
    server.terminate()
    report["status"] = server.wait(300)
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
