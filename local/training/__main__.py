"""Runs a training job on this machine in the layout of SageMaker's script mode.

python -m local.training --recipe cifar10 --channel train=DIR --output cifar.tar.gz
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from local.training.job import TrainingFailed, run
from local.training.layout import TrainingJob
from training.package import pack_code


def main() -> int:
    """Runs the command; returns 1 if the job failed."""
    options = _options()
    job = TrainingJob(
        name=f"local-{options.recipe}",
        code=pack_code(),
        hyperparameters={"recipe": options.recipe} | dict(options.hyperparameter),
        channels={name: Path(folder) for name, folder in options.channel},
        hosts=options.hosts,
    )
    try:
        with tempfile.TemporaryDirectory() as root:
            shutil.move(run(job, Path(root)), options.output)
    except TrainingFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--recipe", required=True)
    parser.add_argument(
        "--channel",
        type=_pair,
        action="append",
        required=True,
        metavar="NAME=DIR",
        help="an image folder: train, validation or test",
    )
    parser.add_argument(
        "--hyperparameter", type=_pair, action="append", default=[], metavar="NAME=VALUE"
    )
    parser.add_argument("--hosts", type=int, default=1, help="how many processes share the work")
    parser.add_argument("--output", type=Path, required=True, help="the path for model.tar.gz")
    return parser.parse_args()


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator and value):
        raise argparse.ArgumentTypeError(f"write NAME=VALUE, not {text!r}")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
