"""A training job on this machine: layout, hosts, and end."""

import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from local.training import TrainingFailed, TrainingJob, pack_code, run
from tests.support.processes.waiting import wait_until

FILES = {
    "training/requirements.txt": "pillow",
    "layers/facet/facet/manifest.py": "",
}


def job(tmp_path: Path, program: str, hosts: int = 1, **hyperparameters: str) -> TrainingJob:
    """A job whose `train.py` is `program`, with one channel."""
    root = tmp_path / "repository"
    for name, text in (FILES | {"training/train.py": program}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (tmp_path / "images").mkdir()
    (tmp_path / "images/cat.jpg").touch()
    channels = {"train": tmp_path / "images"}
    return TrainingJob("job", pack_code(root), hyperparameters, channels, hosts)


def test_a_job_gets_sagemakers_folders_and_variables(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
import facet.manifest
print(sys.argv[1:], os.listdir(os.environ["SM_CHANNEL_TRAIN"]))
model = Path(os.environ["SM_MODEL_DIR"])
assert (model.parent / "checkpoints").is_dir()
(model / "1").mkdir()
for name in ("zebra", "1/saved_model.pb", "facet.json"):
    (model / name).write_text(name)
(Path(os.environ["SM_OUTPUT_DATA_DIR"]) / "where").write_text(facet.manifest.__file__)
"""
    lines: list[str] = []
    given = job(tmp_path, program, epochs="3", recipe='"none"', sagemaker_program='"x"')
    tarball = run(given, tmp_path / "ml", lines.append)
    assert lines == ["['--epochs', '3', '--recipe', 'none'] ['cat.jpg']"]
    with tarfile.open(tarball) as tar:
        assert tar.getnames() == ["facet.json", "1/saved_model.pb", "zebra"]
    imported = (tmp_path / "ml/output/data/where").read_text()
    assert imported == str(tmp_path / "ml/code/facet/manifest.py")


def test_writes_sagemakers_configuration_files(tmp_path: Path) -> None:
    run(job(tmp_path, "", epochs="3"), tmp_path / "ml")
    config = {
        path.stem: json.loads(path.read_text()) for path in (tmp_path / "ml/input/config").iterdir()
    }
    assert config == {
        "hyperparameters": {"epochs": "3"},
        "inputdataconfig": {
            "train": {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
        },
        "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"]},
    }


def test_hosts_have_separate_folders_and_connect(tmp_path: Path) -> None:
    program = """
import json, os
from pathlib import Path
host = os.environ["SM_CURRENT_HOST"]
assert json.loads(os.environ["SM_HOSTS"]) == ["algo-1", "algo-2"]
print(host, json.loads(os.environ["FACET_WORKER_ADDRESSES"])[host])
(Path(os.environ["SM_MODEL_DIR"]) / host).touch()
(Path(os.environ["SM_MODEL_DIR"]) / "both").write_text(host)
"""
    lines: list[str] = []
    tarball = run(job(tmp_path, program, hosts=2), tmp_path / "ml", lines.append)
    addresses = dict(line.split(" ") for line in lines)
    assert set(addresses) == {"algo-1", "algo-2"}
    assert all(address.startswith("127.0.0.1:") for address in addresses.values())
    assert len(set(addresses.values())) == 2
    with tarfile.open(tarball) as tar:
        assert tar.getnames() == ["algo-1", "algo-2", "both"]
        both = tar.extractfile("both")
        assert both is not None
        assert both.read() == b"algo-1"


def test_a_failing_host_stops_the_others(tmp_path: Path) -> None:
    program = """
import os, time
if os.environ["SM_CURRENT_HOST"] == "algo-2":
    raise SystemExit("error: the second")
time.sleep(600)
"""
    with pytest.raises(TrainingFailed, match="status 1: error: the second"):
        run(job(tmp_path, program, hosts=2), tmp_path / "ml")


def test_a_failed_job_reports_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match=r"status 3: no images$"):
        run(job(tmp_path, "print('no images\\n'); raise SystemExit(3)"), tmp_path / "ml")


def test_a_signal_is_named(tmp_path: Path) -> None:
    program = "import os, signal; print('epoch=1'); os.kill(os.getpid(), signal.SIGSEGV)"
    with pytest.raises(TrainingFailed, match=r"status 139: ended by SIGSEGV, after: epoch=1$"):
        run(job(tmp_path, program), tmp_path / "ml")


def test_an_interrupted_job_is_stopped(tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        started.append(int(line))
        raise KeyboardInterrupt

    started: list[int] = []
    program = "import os, time; print(os.getpid()); time.sleep(600)"
    with pytest.raises(KeyboardInterrupt):
        run(job(tmp_path, program), tmp_path / "ml", interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


def test_a_job_exits_with_its_parent(tmp_path: Path) -> None:
    """Even if the parent is killed with SIGKILL."""
    code = job(tmp_path, "import os, time; print(os.getpid()); time.sleep(600)").code
    (tmp_path / "code.tar.gz").write_bytes(code)
    program = (
        "import sys; from pathlib import Path; from local.training import TrainingJob, run\n"
        "root = Path(sys.argv[1]); code = (root / 'code.tar.gz').read_bytes()\n"
        "run(TrainingJob('job', code, {}, {}), root / 'ml', lambda line: print(line, flush=True))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not _alive(child))


def _alive(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return state.stdout.strip()[:1] not in ("", "Z")
