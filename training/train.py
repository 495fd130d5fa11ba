"""The script-mode entry point: hyperparameters → data → fit → evaluate → export.

SageMaker hands hyperparameters over as arguments, everything else as `SM_…` variables:
`SM_CHANNEL_TRAIN`, `…_VALIDATION` and `…_TEST` name image folders, `SM_CHANNEL_WEIGHTS` a folder
with pretrained weights, `SM_MODEL_DIR` takes the artifact's files, `SM_OUTPUT_DATA_DIR` the report,
`SM_HOSTS` names the hosts that share the work.
"""

import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import keras
import tensorflow as tf

from facet.errors import FacetError
from facet.recipes import Hyperparameters
from training import report
from training.dataset import Dataset, load
from training.evaluate import Evaluation, evaluate
from training.export.export import About, export
from training.fitting.checkpoint import Checkpoint, History
from training.fitting.workers import Workers, join
from training.job import Job, parse
from training.networks import Network, build, spec
from training.trainer import learn, policy

PROOF = 64
"""How many validation images the exported models must agree on."""


def main() -> int:
    """Runs the job that the command line and the environment describe; 1 means it failed."""
    try:
        run(parse(sys.argv[1:], os.environ), join(os.environ))
    except FacetError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def run(job: Job, workers: Workers) -> None:
    """Trains, and on the first host evaluates and exports.

    Raises `FacetError` where the job cannot succeed.
    """
    settings = job.settings
    print(f"recipe={job.recipe.name} hosts={workers.count} {_words(settings)}", flush=True)
    tf.config.experimental.enable_op_determinism()
    with tempfile.TemporaryDirectory() as scratch:
        data = load(job.channels, spec(settings), settings, Path(scratch))
        checkpoint = Checkpoint(job.checkpoints, _fingerprint(job, data, workers))
        keras.utils.set_random_seed(settings.seed)
        agreed = workers.exchange(policy(settings).encode())[0].decode()
        keras.config.set_dtype_policy(agreed)
        network = build(settings, len(data.labels), job.weights)
        history = learn(network, data, settings, Path(scratch), checkpoint, workers)
        if workers.rank == 0:
            _finish(job, data, _served(network, job, data), history, workers)


def _served(trained: Network, job: Job, data: Dataset) -> Network:
    """The network in float32, which is what gets exported and what its metrics are of."""
    keras.config.set_dtype_policy("float32")
    served = build(job.settings, len(data.labels), job.weights)
    served.tail.set_weights(trained.tail.get_weights())
    return served


def _finish(job: Job, data: Dataset, network: Network, history: History, workers: Workers) -> None:
    evaluations = {
        name: evaluate(network.whole, network.spec, images)
        for name, images in data.sets.items()
        if name != "train"
    }
    metrics = _metrics(evaluations)
    print(" ".join(f"{name}={value:.4f}" for name, value in metrics.items()), flush=True)
    apart = export(
        network.whole,
        network.spec,
        About(
            model=job.model,
            description=job.recipe.description,
            labels=data.labels,
            metrics=metrics,
            provenance=_provenance(job, data, history, workers),
        ),
        proof=data.validation.pixels[:: -(-len(data.validation) // PROOF)],
        folder=job.model_folder,
    )
    print(f"exported=1 runtimes_difference={apart:.2g}", flush=True)
    about = {
        "metrics": metrics,
        "skipped": data.skipped,
        "training_seconds": round(sum(history["seconds"]), 1),
    }
    report.write(job.output_folder, data.labels, evaluations, history, about)


def _metrics(evaluations: Mapping[str, Evaluation]) -> dict[str, float]:
    return {
        f"{name}_{measure}": value
        for name, each in evaluations.items()
        for measure, value in each.measures.items()
    }


def _provenance(job: Job, data: Dataset, history: History, workers: Workers) -> dict[str, str]:
    """Where the model comes from. No paths: they would mean nothing elsewhere."""
    pretrained = {"weights": _digest(job.weights)} if job.weights else {}
    return pretrained | {
        "recipe": job.recipe.name,
        "hyperparameters": _words(job.settings),
        "dataset": job.dataset,
        "images": " ".join(f"{name}={len(those)}" for name, those in data.sets.items()),
        "skipped": str(data.skipped),
        "hosts": str(workers.count),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "training_seconds": f"{sum(history['seconds']):.0f}",
    }


def _fingerprint(job: Job, data: Dataset, workers: Workers) -> str:
    """What a checkpoint must agree with to be gone on from."""
    counts = {name: len(those) for name, those in data.sets.items()}
    weights = _digest(job.weights) if job.weights else ""
    parts = (job.settings.model_dump_json(), data.labels, counts, weights, workers.count)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"


def _words(settings: Hyperparameters) -> str:
    return " ".join(
        f"{name.replace('_', '-')}={value}" for name, value in settings.model_dump().items()
    )


if __name__ == "__main__":
    sys.exit(main())
