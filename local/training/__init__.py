"""SageMaker's training jobs on this machine, in the layout of script mode."""

from local.training.job import TrainingFailed, run
from local.training.layout import TrainingJob
from training.package import REPOSITORY, pack_code

__all__ = ["REPOSITORY", "TrainingFailed", "TrainingJob", "pack_code", "run"]
