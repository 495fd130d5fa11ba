"""The onboarding function has 256 MB, its own imports included."""

import gzip
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from facet.artifact import archive, names, validation
from facet.artifact.graphs import saved_model_pb2 as pb
from tests.support.inputs import artifacts
from tests.support.processes.waiting import LONG

MIB = 1 << 20
LIMIT = 256 * MIB
CHILD = """
import sys
import boto3
from facet.artifact import archive, validation
from onboard import app
clients = [boto3.client(each, region_name="us-east-1") for each in ("s3", "sagemaker-runtime")]
table = boto3.resource("dynamodb", region_name="us-east-1").Table("facet")
with open(sys.argv[1], "rb") as file:
    found = archive.read(file)
manifest, violations = validation.run(found)
assert manifest, violations
assert len(found.kept) == 4, found.kept.keys()
assert not violations, violations
status = open("/proc/self/status").read()
print(int(status.partition("VmHWM:")[2].split()[0]) << 10)
"""


def graph() -> bytes:
    """Ten thousand nodes, and for the rest one name as long as it may be."""
    model = pb.SavedModel.FromString(artifacts.saved_model())
    meta = model.meta_graphs[0]
    for number in range(10_000):
        node = meta.graph_def.node.add(name=f"node_{number}", op="AddV2")
        node.input.extend([f"node_{number - 1}"] * 2 if number else [])
    room = archive.MAX_GRAPH - model.ByteSize() - 100
    meta.signature_def["other"].inputs["x"].name = "z" * room
    return model.SerializeToString()


def members() -> dict[str, bytes]:
    """The largest of everything that is still taken."""
    side = int(validation.MAX_PIXELS**0.5)
    image = artifacts.image((side, side)).convert("RGBA")
    golden = artifacts.encoded(image, "WEBP", method=0)
    rest = Random(1).randbytes(archive.MAX_IMAGE - len(golden))
    files = artifacts.members(golden=artifacts.golden())
    files |= {"1/saved_model.pb": graph(), "golden.png": golden, "other.bin": rest}
    while len(files) < names.MAX_MEMBERS:
        path = "/".join([f"{len(files):04}" + "\u6f22" * 11] * names.MAX_DEPTH)
        files[f"assets/{path}"[: names.MAX_NAME]] = b""
    return files


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_largest_accepted_artifact_fits_into_the_functions_memory(
    tmp_path: Path,
) -> None:
    artifact = tmp_path / "model.tar.gz"
    artifact.write_bytes(gzip.compress(artifacts.tar(members()), 1))
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(artifact)],
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    assert int(child.stdout) < LIMIT
