"""What a job leaves to be chosen: the backbone, by the weights that it has or can download, the
method, by what the job sets, and, with many images, a network from scratch by validation images."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras

from facet.effects import ineffective
from facet.recipes import FROM_SCRATCH, Hyperparameters
from training.dataset import Dataset, resized
from training.fitting.checkpoint import Checkpoint, History
from training.fitting.workers import Workers
from training.job import Job
from training.networks import BadWeights, Network, build, pretrained, spec
from training.trainer import dtype_policy, train
from training.weights import identify

Download = Callable[[Hyperparameters, None], object]
"""Gets a backbone with Keras's weights. Raises BadWeights."""

DEFAULT = "mobilenet"
SCRATCH = "cnn"

MANY = 150
"""Images of a class, validation images included, from which a network from scratch is trained
beside the head: of 171 hand signs of each class it learns more than ImageNet's features have. With
50 photographs it was far behind, with 50 hand signs ahead (docs/benchmarks.md)."""

SCRATCH_EPOCHS = 16
"""Of that network. With 1,453 hand signs, 258 of 259 validation images were right after 10."""

FEW = "docs/training.md#few-images"


def with_backbone(job: Job, workers: Workers, download: Download = pretrained) -> Job:
    """Replaces the backbone `auto`: by the one whose weights the job has; without any, by one that
    Keras downloads; if that fails, by one from scratch. The first host chooses.

    Raises BadWeights.
    """
    if job.settings.backbone != "auto":
        return job
    own = _available(job, download) if workers.rank == 0 else {}
    chosen = json.loads(workers.all_gather(json.dumps(own).encode())[0])
    only = {"backbone": chosen["backbone"]}
    return replace(job, settings=job.recipe.settings({**chosen, **job.given, **only}))


def with_method(job: Job, data: Dataset) -> Job:
    """Replaces the method `auto`, and warns if a network is trained from few images alone.

    Hyperparameters that are set and that only gradient descent uses ask for it.
    """
    settings = job.settings
    each = _images_per_class(data)
    scratch = settings.backbone in FROM_SCRATCH
    if scratch and each < MANY:
        print(
            f"warning=from-scratch images_per_class={each:.0f} reason=a network that starts from "
            "pretrained weights is far more accurate with few images: on photographs of clothes, "
            "10, 20, 50 of each class, .66 .72 .82 against .24 .36 .46 from scratch. Give "
            f"--weights FILE; see {FEW}",
            flush=True,
        )
    if settings.method != "auto":
        return job
    head = settings.model_copy(update={"method": "head"})
    if scratch:
        method = "gradient"
    elif not any(ineffective(head, job.given)):
        method = "head"
    else:
        method = "fine-tune"
    print(f"method={method} images_per_class={each:.0f}", flush=True)
    known = {"backbone": settings.backbone, "alpha": settings.alpha, "method": method}
    return replace(job, settings=job.recipe.settings({**job.given, **known}))


def from_scratch_too(job: Job, data: Dataset) -> Job | None:
    """The job whose network from scratch is compared with the head, if there are many images.

    None if the job sets a method, a backbone, the size of the images, or what only gradient descent
    uses.
    """
    asked = job.recipe.settings(job.given)
    if (asked.backbone, asked.method, job.settings.method) != ("auto", "auto", "head"):
        return None
    if "image_size" in job.given or _images_per_class(data) < MANY:
        return None
    scratch = {"backbone": SCRATCH, "method": "gradient", "epochs": SCRATCH_EPOCHS}
    return replace(job, settings=job.recipe.settings({**job.given, **scratch}), weights=None)


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network; `folder` has its images and features.

    `choice`, for provenance, says how it was chosen and what it was compared with.
    """

    job: Job
    data: Dataset
    network: Network
    history: History
    folder: Path
    choice: Mapping[str, str] = field(default_factory=dict)

    @property
    def correct(self) -> int:
        """The number of validation images that the best epoch has right."""
        return round(max(self.history["val_accuracy"]) * len(self.data.validation))

    def __str__(self) -> str:
        return f"{self.job.settings.backbone}-{self.job.settings.method}"


def train_best(
    job: Job, data: Dataset, scratch: Job | None, folder: Path, workers: Workers
) -> Trained:
    """Trains the job's network and, if there is one, that of the job from scratch.

    Returns the one that has more validation images right; if they have as many, the job's.
    """
    trained = _train(job, data, folder, workers)
    if not scratch:
        return trained
    own = folder / "from-scratch"
    own.mkdir()
    other = _train(scratch, resized(data, spec(scratch.settings), own), own, workers)
    best, worse = (other, trained) if other.correct > trained.correct else (trained, other)
    counts = f"{best.correct} of {len(data.validation)} validation images right"
    print(f"chosen={best} reason={counts}; {worse}: {worse.correct}", flush=True)
    return replace(best, choice={"chosen_by": counts, "instead_of": f"{worse}: {worse.correct}"})


def _train(job: Job, data: Dataset, folder: Path, workers: Workers) -> Trained:
    checkpoint = Checkpoint(job.checkpoints, _fingerprint(job, data, workers))
    keras.utils.set_random_seed(job.settings.seed)
    keras.config.set_dtype_policy(_shared_dtype_policy(job.settings, workers))
    network = build(job.settings, len(data.labels), job.weights)
    history = train(network, data, job.settings, folder, checkpoint, workers)
    return Trained(job, data, network, history, folder)


def _shared_dtype_policy(settings: Hyperparameters, workers: Workers) -> str:
    """The first host's policy, for all hosts."""
    return workers.all_gather(dtype_policy(settings).encode())[0].decode()


def _fingerprint(job: Job, data: Dataset, workers: Workers) -> str:
    """Identifies the training: a checkpoint with another fingerprint is not resumed from."""
    counts = {name: len(images) for name, images in data.sets.items()}
    parts = (
        *(job.settings.model_dump_json(), data.labels, counts),
        *(job.weights_digest, workers.count),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _images_per_class(data: Dataset) -> float:
    return (len(data.train) + len(data.validation)) / len(data.labels)


def _available(job: Job, download: Download) -> dict[str, object]:
    if job.weights:
        return identify(job.weights) or {"backbone": DEFAULT}
    try:
        download(job.recipe.settings({**job.given, "backbone": DEFAULT}), None)
    except BadWeights as error:
        if job.settings.method in ("head", "fine-tune"):
            raise
        print(f"backbone={SCRATCH} reason={error}", flush=True)
        return {"backbone": SCRATCH}
    return {"backbone": DEFAULT}
