"""The columns that are fitted to a backbone's features, which are computed once for each image.

Teaching is that of `functions/teach`; logistic regression is scikit-learn's with its defaults.
"""

import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.few.sets import Image
from benchmarks.few.tables import Measured
from cli.pack import inference
from cli.pack.plan import LITE
from facet.heads.calibration import LogProbabilities, Reliability
from facet.keys import MANIFEST
from facet.manifest import BackboneManifest
from teach.work import head
from teach.work.lesson import Lesson

Rows = NDArray[np.float32]
"""(images, width): features."""

Classes = NDArray[np.int64]


class Method(Protocol):
    """Fits to the features of training images with classes, and answers those of test images."""

    def __call__(self, rows: Rows, classes: Classes, tests: Rows) -> LogProbabilities: ...


def taught(rows: Rows, classes: Classes, tests: Rows) -> LogProbabilities:
    """The head that a teaching makes of these images, with its weights in float16."""
    labels = tuple(map(str, range(classes.max() + 1)))
    made = head.fit(Lesson(labels, (), rows, classes)).head
    scores = np.stack([each.scores for each in made.answer(tests)])
    return np.log(np.maximum(scores, np.finfo(np.float32).tiny))


def logistic(rows: Rows, classes: Classes, tests: Rows) -> LogProbabilities:
    """Regularised logistic regression with scikit-learn's defaults."""
    fitted = LogisticRegression(max_iter=1000).fit(rows, classes)
    return np.asarray(fitted.predict_log_proba(tests))


@dataclass(frozen=True, eq=False)
class Features:
    """float32 (width,) features by image, and the mean CPU seconds that an image took."""

    rows: Mapping[Path, NDArray[np.float32]]
    cpu_seconds: float

    @classmethod
    def of(cls, artifact: Path, images: Sequence[Path], file: Path) -> "Features":
        """Those in `file`, which is written if there is none.

        The backbone's LiteRT model computes them for one image at a time, as the function does that
        runs models.
        """
        if not file.exists():
            before = time.process_time()
            rows = _computed(artifact, images)
            each = (time.process_time() - before) / len(images)
            np.savez(file, paths=np.array([*map(str, images)]), rows=rows, cpu_seconds=each)
        with np.load(file) as known:
            paths = map(Path, known["paths"].tolist())
            return cls(dict(zip(paths, known["rows"], strict=True)), float(known["cpu_seconds"]))

    def measure(self, method: Method, images: Sequence[Image]) -> Measured:
        """Fits to the training images, and answers the others. The features of the training images
        and the method itself count as CPU time.
        """
        labels = sorted({each.label for each in images if not each.test})
        train = [each for each in images if not each.test]
        tests = [each for each in images if each.test]
        wanted = self._classes(tests, labels)
        before = time.process_time()
        answers = method(self._rows(train), self._classes(train, labels), self._rows(tests))
        fitting = time.process_time() - before
        return Measured(
            float((answers.argmax(axis=1) == wanted).mean()),
            len(train) * self.cpu_seconds + fitting,
            calibration_error=Reliability.of(answers, wanted).error,
        )

    def _rows(self, images: Sequence[Image]) -> Rows:
        return np.stack([self.rows[each.path] for each in images])

    @staticmethod
    def _classes(images: Sequence[Image], labels: Sequence[str]) -> Classes:
        return np.array([labels.index(each.label) for each in images], dtype=np.int64)


def _computed(artifact: Path, images: Sequence[Path]) -> Rows:
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(artifact) as archive:
            archive.extractall(scratch, filter="data")
        manifest = BackboneManifest.model_validate_json(Path(scratch, MANIFEST).read_bytes())
        (model,) = Path(scratch).glob(f"*/{LITE.as_posix()}")
        with inference.lite(model) as runtime:
            return np.stack(
                [inference.score(runtime, manifest, each.read_bytes()) for each in images]
            )
