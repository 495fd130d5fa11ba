"""The entry point of a training job in script mode: load → train → evaluate → export → report.

SageMaker passes hyperparameters as arguments and everything else as `SM_…` variables:
`SM_CHANNEL_TRAIN`, `…_VALIDATION` and `…_TEST` name image folders, `SM_CHANNEL_WEIGHTS` a folder
with pretrained weights, `SM_MODEL_DIR` the folder for the artifact's files, `SM_OUTPUT_DATA_DIR`
the folder for the report, and `SM_HOSTS` the hosts that share the work.
"""

import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import keras
import tensorflow as tf

from facet.effects import without_effect
from facet.errors import FacetError
from training import report
from training.choice import Trained, from_scratch_too, train_best, with_backbone, with_method
from training.dataset import load
from training.evaluate import Evaluation, calibrate, calibrated, evaluate
from training.export.backbone import export_backbone
from training.export.export import ModelInfo, export
from training.export.quantised import Quantising
from training.fitting.workers import Workers, join
from training.job import Job, parse
from training.live import compare
from training.networks import Network, build, spec
from training.trainer import refit

FAILURE = "Exception:"
"""The line before an error. Of a failed job's output, the toolkit in AWS's image reports only what
begins at a line with the name of a Python exception (sagemaker_training.process.watch)."""

PROOF_IMAGES = 64
"""Validation images on which SavedModel and LiteRT must agree; at most this many."""


def main() -> int:
    """Runs the job that the command line and the environment describe. Returns 1 if it fails."""
    try:
        run(parse(sys.argv[1:], os.environ), join(os.environ))
    except FacetError as error:
        print(f"{FAILURE}\nerror: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def run(job: Job, workers: Workers) -> None:
    """Trains on all hosts; the first host then evaluates, exports and reports.

    Raises FacetError if the job cannot succeed.
    """
    job = with_backbone(job, workers)
    print(f"recipe={job.recipe.name} hosts={workers.count} {_describe(job)}", flush=True)
    tf.config.experimental.enable_op_determinism()
    with tempfile.TemporaryDirectory() as scratch:
        data = load(job.channels, spec(job.settings), job.settings, Path(scratch))
        job = with_method(job, data)
        trained = train_best(job, data, from_scratch_too(job, data), Path(scratch), workers)
        if workers.rank == 0:
            network = _in_float32(trained)
            _export(trained, network, _evaluate(network, trained), workers)


def _in_float32(trained: Trained) -> Network:
    """Copies the network to float32: this is what is evaluated and exported."""
    job, labels = trained.job, len(trained.data.labels)
    keras.config.set_dtype_policy("float32")
    network = build(job.settings, labels, job.weights)
    network.tail.set_weights(trained.network.tail.get_weights())
    return network


def _evaluate(network: Network, trained: Trained) -> dict[str, Evaluation]:
    """Evaluates on validation and test images; each by a network that was not fitted to them."""
    data, settings = trained.data, trained.job.settings
    evaluations = {"validation": evaluate(network.exported, network.spec, data.validation)}
    if settings.method == "head":
        refit(network, data, settings, trained.folder)
    if data.test:
        evaluations["test"] = evaluate(network.exported, network.spec, data.test)
    return evaluations


def _export(
    trained: Trained,
    network: Network,
    evaluations: Mapping[str, Evaluation],
    workers: Workers,
) -> None:
    job, data, history = trained.job, trained.data, trained.history
    calibration = calibrate(evaluations, data)
    compared = compare(job.live, data, evaluations)
    metrics = _metrics(calibration.after) | {"temperature": calibration.temperature}
    metrics |= compared.metrics
    print(" ".join(f"{name}={value:.10g}" for name, value in metrics.items()), flush=True)
    info = ModelInfo(
        model=job.model,
        description=job.recipe.description,
        labels=data.labels,
        metrics=metrics,
        provenance=_provenance(trained, workers) | dict(compared.provenance),
    )
    proof = data.validation.pixels[:: -(-len(data.validation) // PROOF_IMAGES)]
    if job.settings.output == "features":
        export_backbone(
            network.body,
            network.spec,
            info,
            proof=proof,
            folder=job.model_folder,
            halve=job.settings.quantize == "float16",
            lite_only=job.settings.lite_only,
        )
    else:
        exported = export(
            calibrated(network.exported, calibration.temperature),
            network.spec,
            info,
            proof=proof,
            folder=job.model_folder,
            quantising=Quantising.of(job.settings, data, calibration.fitted_on),
            lite_only=job.settings.lite_only,
        )
        metrics = exported.metrics
        print(f"exported=1 runtimes_difference={exported.difference:.2g}", flush=True)
    about = {
        "metrics": metrics,
        "comparison": compared.provenance,
        "skipped": data.skipped,
        "training_seconds": round(sum(history["seconds"]), 1),
        "examples": {name: data.sets[name].one_of_each_class() for name in evaluations},
    }
    report.write(job.output_folder, data.labels, calibration, history, about)


def _metrics(evaluations: Mapping[str, Evaluation]) -> dict[str, float]:
    return {
        f"{name}_{measure}": value
        for name, evaluation in evaluations.items()
        for measure, value in evaluation.measures.items()
    }


def _provenance(trained: Trained, workers: Workers) -> dict[str, str]:
    """How the model was made. Without paths, which mean nothing on another machine."""
    job, data, history = trained.job, trained.data, trained.history
    pretrained = {"weights": job.weights_digest} if job.weights else {}
    held_out = data.test is not None and "test" not in job.channels
    split = {"held_out": f"{job.settings.test_share:g}"} if held_out else {}
    return {
        **pretrained,
        **split,
        **trained.choice,
        "recipe": job.recipe.name,
        "hyperparameters": _describe(job),
        "dataset": job.dataset,
        "images": " ".join(f"{name}={len(images)}" for name, images in data.sets.items()),
        "skipped": str(data.skipped),
        "hosts": str(workers.count),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "python": platform.python_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "training_seconds": f"{sum(history['seconds']):.0f}",
    }


def _describe(job: Job) -> str:
    """The hyperparameters that have an effect on this job."""
    unused = without_effect(job.settings, job.channels)
    return " ".join(
        f"{name.replace('_', '-')}={value}"
        for name, value in job.settings.model_dump(exclude_none=True).items()
        if name not in unused
    )


if __name__ == "__main__":
    sys.exit(main())
