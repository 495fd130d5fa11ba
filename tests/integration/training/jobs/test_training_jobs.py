"""local/training/jobs.py: the training service, with objects as files and real processes."""

import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from local.storage.state import ObjectVersion, State
from local.training.description import Document, from_item, to_item
from local.training.jobs import JobExists, NotRunning, TrainingJobs, UnknownJob
from local.training.store import Store
from tests.support.processes.waiting import wait_until
from training.package import pack_code

PROGRAM = """
import json, os, signal, sys, time
from pathlib import Path

root = Path(os.environ["SM_MODEL_DIR"]).parent
checkpoint = root / "checkpoints/epoch"
done = int(checkpoint.read_text()) if checkpoint.exists() else 0
print("found", sorted(str(each.relative_to(root / "input/data/train"))
                      for each in (root / "input/data/train").rglob("*") if each.is_file()))
what = sys.argv[sys.argv.index("--what") + 1]
if what == "fail":
    sys.exit("error: on purpose")
if what == "killed":
    print("epoch=1")
    os.kill(os.getpid(), signal.SIGKILL)
if what == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
for epoch in range(done + 1, done + 3):
    checkpoint.write_text(str(epoch))
    print(f"epoch={epoch} loss={1 / epoch:.4f}")
(root / "model/facet.json").write_text(json.dumps(done))
(root / "output/data/metrics.json").write_text("{}")
if what in ("wait", "deaf"):
    print("waiting")
    time.sleep(600)
"""


@dataclass
class S3:
    """An S3 client whose uploads go to the local state, as the stack's own do."""

    state: State
    number: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, key: str, content: bytes) -> None:
        with self.lock:
            self.number += 1
            version = f"v{self.number}"
        written = self.state.files.write([content])
        self.state.keep_versions(
            "bucket", key, [ObjectVersion("bucket", key, version, "2026-01-01", written)]
        )

    def upload_file(self, path: str, bucket: str, key: str) -> None:
        assert bucket == "bucket"
        self.put(key, Path(path).read_bytes())


@dataclass
class Service:
    """The service with its log lines and events, in an account with code and images."""

    home: Path
    state: State
    s3: S3
    lines: list[str] = field(default_factory=list)
    kept: dict[str, Document] = field(default_factory=dict)
    jobs: TrainingJobs = field(init=False)

    def __post_init__(self) -> None:
        self.open()

    def open(self, grace: float = 30) -> None:
        self.jobs = TrainingJobs(
            Store(self.state, "bucket", self.s3),
            self.home,
            known=[from_item(json.loads(json.dumps(each))) for each in self.kept.values()],
            keep=lambda job: self.kept.update({job["TrainingJobName"]: to_item(job)}),
            listener=lambda _, line: self.lines.append(line),
            grace=grace,
        )

    def create(self, name: str, what: str, **more: Any) -> None:
        self.jobs.create(request(name, what) | more, f"arn:{name}")

    def end(self, name: str) -> Document:
        running = ("InProgress", "Stopping")
        wait_until(lambda: self.jobs.describe(name)["TrainingJobStatus"] not in running)
        return self.jobs.describe(name)

    def object(self, key: str) -> bytes:
        return self.state.newest("bucket", key)[key].read_bytes()


def request(name: str, what: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/datasets/pets/train/"}
    return {
        "TrainingJobName": name,
        "HyperParameters": {
            "what": json.dumps(what),
            "sagemaker_submit_directory": '"s3://bucket/code/x/sourcedir.tar.gz"',
        },
        "AlgorithmSpecification": {
            "MetricDefinitions": [{"Name": "train:loss", "Regex": "loss=([0-9.]+)"}]
        },
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/training/e/m"},
        "CheckpointConfig": {"S3Uri": "s3://bucket/training/e/m/checkpoints/1"},
        "ResourceConfig": {"InstanceCount": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "Tags": [{"Key": "application", "Value": "facet"}],
        "VpcConfig": None,
    }


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    repository = tmp_path / "repository"
    for name, text in {
        "training/train.py": PROGRAM,
        "training/requirements.txt": "",
        "layers/facet/facet/__init__.py": "",
    }.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    with ExitStack() as opened:
        state = State(tmp_path / "state")
        opened.callback(state.close)
        s3 = S3(state)
        s3.put("code/x/sourcedir.tar.gz", pack_code(repository))
        s3.put("datasets/pets/train/cat/1.jpg", b"image")
        s3.put("datasets/pets/train/../../out", b"bad")
        s3.put("datasets/pets/training/dog/1.jpg", b"another channel's")
        made = Service(tmp_path / "home", state, s3)
        opened.callback(lambda: made.jobs.close())
        yield made


def test_a_job_reads_from_and_writes_to_s3(service: Service) -> None:
    service.create("a", "train")
    job = service.end("a")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed")
    assert service.lines == ["found ['cat/1.jpg']", "epoch=1 loss=1.0000", "epoch=2 loss=0.5000"]
    (metric,) = job["FinalMetricDataList"]
    assert (metric["MetricName"], metric["Value"]) == ("train:loss", 0.5)
    assert job["ModelArtifacts"]["S3ModelArtifacts"].startswith("s3://bucket/training/e/m/a/")
    for name, member in (("model", "facet.json"), ("output", "metrics.json")):
        packed = service.object(f"training/e/m/a/output/{name}.tar.gz")
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            assert tar.getnames() == [member]
    assert service.object("training/e/m/checkpoints/1/epoch") == b"2"
    log = (service.home / "logs/training/a.log").read_text()
    assert log.splitlines() == service.lines
    assert not list((service.home / "training").iterdir())


def test_a_job_resumes_from_checkpoints(service: Service) -> None:
    for name in ("a", "b"):
        service.create(name, "train")
        service.end(name)
    assert "epoch=4 loss=0.2500" in service.lines
    assert service.object("training/e/m/checkpoints/1/epoch") == b"4"


def test_a_failed_job_reports_its_last_line(service: Service) -> None:
    service.create("a", "fail")
    job = service.end("a")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: error: on purpose, exit code: 1"


def test_a_killed_job_does_not_blame_its_last_line(service: Service) -> None:
    service.create("a", "killed")
    reason = "AlgorithmError: killed (out of memory?), exit code: 137"
    assert service.end("a")["FailureReason"] == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"HyperParameters": {"what": '"train"'}},
            "ClientError: the local stack supports script mode",
        ),
        (
            {"HyperParameters": {"sagemaker_submit_directory": "s3://bucket/code/none"}},
            "ClientError: s3://bucket/code/none does not exist",
        ),
        (
            {"CheckpointConfig": {"S3Uri": "s3://elsewhere/x"}},
            "ClientError: the local stack trains with its own bucket only",
        ),
    ],
)
def test_missing_input_fails_the_job(
    service: Service, changes: dict[str, Any], reason: str
) -> None:
    service.create("a", "train", **changes)
    assert service.end("a")["FailureReason"].startswith(reason)


def test_a_channel_without_images_fails_the_job(service: Service) -> None:
    empty = {"S3DataSource": {"S3Uri": "s3://bucket/datasets/birds/train/"}}
    service.create("a", "train", InputDataConfig=[{"ChannelName": "train", "DataSource": empty}])
    assert (
        "there are no objects below s3://bucket/datasets/birds/train/"
        in (service.end("a")["FailureReason"])
    )


def test_stops_a_running_job(service: Service) -> None:
    service.create("a", "wait")
    wait_until(lambda: "waiting" in service.lines)
    service.jobs.stop("a")
    assert service.jobs.describe("a")["TrainingJobStatus"] in ("Stopping", "Stopped")
    job = service.end("a")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert service.object("training/e/m/a/output/model.tar.gz")
    with pytest.raises(NotRunning, match="Stopped"):
        service.jobs.stop("a")


def test_stops_a_queued_job(service: Service) -> None:
    service.create("a", "wait")
    service.create("b", "train")
    wait_until(lambda: "waiting" in service.lines)
    service.jobs.stop("b")
    service.jobs.stop("a")
    assert service.end("b")["TrainingJobStatus"] == "Stopped"
    assert not (service.home / "logs/training/b.log").read_text()


def test_a_job_is_stopped_at_its_maximum_runtime(service: Service) -> None:
    service.create("a", "wait", StoppingCondition={"MaxRuntimeInSeconds": 1})
    job = service.end("a")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_a_job_that_ignores_sigterm_is_killed(service: Service) -> None:
    service.jobs.close()
    service.open(grace=0.2)
    service.create("a", "deaf")
    wait_until(lambda: "waiting" in service.lines)
    service.jobs.stop("a")
    assert service.end("a")["TrainingJobStatus"] == "Stopped"


def test_rejects_a_name_that_was_used(service: Service) -> None:
    service.create("a", "train")
    with pytest.raises(JobExists, match="a"):
        service.create("a", "train")
    service.end("a")
    with pytest.raises(JobExists):
        service.create("a", "train")
    with pytest.raises(UnknownJob):
        service.jobs.describe("b")


def test_jobs_end_with_the_service_and_remain_listed_by_the_next(service: Service) -> None:
    service.create("done", "train")
    done = service.end("done")
    service.create("running", "wait")
    service.create("waiting", "train")
    wait_until(lambda: "waiting" in service.lines)
    service.jobs.close()
    service.open()
    assert service.jobs.names() == ["done", "running", "waiting"]
    assert service.jobs.describe("done") == done
    for name in ("running", "waiting"):
        assert service.jobs.describe(name)["TrainingJobStatus"] == "Stopped"


def test_a_job_of_a_killed_stack_has_failed(service: Service) -> None:
    service.create("a", "wait")
    wait_until(lambda: "waiting" in service.lines)
    killed = {"a": dict(service.kept["a"])}
    service.jobs.close()
    service.kept = killed
    service.open()
    job = service.jobs.describe("a")
    assert job["TrainingJobStatus"] == "Failed"
    assert "the local stack ended" in job["FailureReason"]
    with pytest.raises(NotRunning):
        service.jobs.stop("a")


def test_a_channel_may_name_a_single_object(service: Service, tmp_path: Path) -> None:
    """As of the live version's artifact: SageMaker puts it right below the channel's folder."""
    service.s3.put("mme/cats/0123456789ab.tar.gz", b"live")
    store = Store(service.state, "bucket", service.s3)
    store.link("s3://bucket/mme/cats/0123456789ab.tar.gz", tmp_path / "live")
    assert [each.name for each in (tmp_path / "live").iterdir()] == ["0123456789ab.tar.gz"]
    assert (tmp_path / "live/0123456789ab.tar.gz").read_bytes() == b"live"
