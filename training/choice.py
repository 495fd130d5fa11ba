"""What a job leaves to be chosen: the backbone, by the weights that it has or can download, and the
method, by the number of images."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py

from facet.effects import ineffective
from facet.recipes import FROM_SCRATCH, Hyperparameters
from training.dataset import Dataset
from training.fitting.workers import Workers
from training.job import Job
from training.networks import BadWeights, pretrained

Download = Callable[[Hyperparameters, None], object]
"""Gets a backbone with Keras's weights. Raises BadWeights."""

DEFAULT = "mobilenet"
SCRATCH = "cnn"

MANY = 150
"""Images of a class, validation images included, from which fine-tuning is worth its time: a head
was better with 122 ants or bees, fine-tuning with 171 hand signs. Nothing between was measured."""

FEW = "docs/training.md#few-images"

WIDEST = {"conv_pw_13": ("mobilenet", 1024), "block_16_project": ("mobilenet-v2", 320)}
"""A layer of each MobileNet, and the number of its filters if alpha is 1."""


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
    each = (len(data.train) + len(data.validation)) / len(data.labels)
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
    elif each < MANY and not any(ineffective(head, job.given)):
        method = "head"
    else:
        method = "fine-tune"
    print(f"method={method} images_per_class={each:.0f}", flush=True)
    return replace(job, settings=settings.model_copy(update={"method": method}))


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


def identify(weights: Path) -> dict[str, object] | None:
    """The hyperparameters `backbone` and `alpha` of a file of keras.applications, if it is one."""
    try:
        with h5py.File(weights) as file:
            shapes = {name: item.shape for name, item in _arrays(file)}
    except OSError:
        return None
    for layer, (backbone, filters) in WIDEST.items():
        for name, shape in shapes.items():
            if layer in name.split("/") and len(shape) == 4:
                return {"backbone": backbone, "alpha": round(shape[-1] / filters, 2)}
    if any("block5_conv3" in name.split("/") for name in shapes):
        return {"backbone": "vgg16"}
    return None


def _arrays(file: h5py.File) -> list[tuple[str, h5py.Dataset]]:
    found: list[tuple[str, h5py.Dataset]] = []
    file.visititems(
        lambda name, item: found.append((name, item)) if isinstance(item, h5py.Dataset) else None
    )
    return found
