"""The proof of real models on the local platform's endpoint, in both runtimes."""

from pathlib import Path
from typing import TYPE_CHECKING

from facet.manifest import Manifest
from facet.places.endpoint import Endpoint
from onboard.proof.prover import Prover
from onboard.retry import RetryPolicy
from tests.integration.serving.endpoints import BUCKET, ENDPOINT, packed, stacks
from tests.support.inputs.artifacts import encoded, manifest
from tests.support.versions import of_target

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FLOATS = Manifest.model_validate(
    manifest(
        labels=["a", "b", "c", "d"],
        input={"tensor": "image", "height": 8, "width": 8},
        output={"tensor": "scores", "activation": "logits"},
    )
)
RETRY = RetryPolicy(left=lambda: 600, attempt=60)
SOUND: tuple[list[str], int | None] = ([], None)
EXPECTED = {
    "floats": SOUND,
    "quantised-uint8": SOUND,
    "quantised-int8": SOUND,
    "single": ([], 1),
    "single-lite": ([], 1),
    "dropout": (["not-repeatable"], None),
    "statistics": (["batch-dependent"], None),
    "statistics-lite": (["batch-dependent"], None),
    "numbered": (["order-dependent"], None),
}


def test_what_the_proof_finds_in_each_model(
    tmp_path: Path, artifacts: Path, s3: "S3Client"
) -> None:
    found: dict[str, dict[str, tuple[list[str], int | None]]] = {"golden": {}, "smoke": {}}
    with stacks(tmp_path, s3) as start:
        stack = start()
        prover = Prover(Endpoint(stack.runtime, ENDPOINT), within=60)
        for name in EXPECTED:
            target = f"{name}/0123456789ab.tar.gz"
            s3.put_object(Bucket=BUCKET, Key=f"mme/{target}", Body=packed(artifacts / name))
            for golden in (encoded(), None):
                proof = prover.prove(of_target(target), FLOATS, golden, RETRY)
                codes = [each.code for each in proof.violations]
                found[proof.kind][name] = codes, proof.max_batch_size
        log = stack.log.read_text()
    assert found == {"golden": EXPECTED, "smoke": EXPECTED}
    lite = {
        name for name in EXPECTED if f"({name}/0123456789ab.tar.gz): version 1 on litert" in log
    }
    assert lite == {name for name in EXPECTED if name.endswith("-lite") or "quantised" in name}
