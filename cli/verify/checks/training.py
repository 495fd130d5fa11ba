"""A short training job, from images in the bucket to a model that answers."""

from cli.train.execution import Execution, JobReport, NotTrained, start
from cli.verify import artifacts
from cli.verify.check import Different, NotTried, check
from cli.verify.session import Session
from facet.keys import DATA_SETS_PREFIX
from facet.recipes import recipe

RECIPE = recipe("image-folder")
SETTINGS = {
    "backbone": "cnn",
    "epochs": "2",
    "width": "4",
    "dense": "8",
    "image-size": "16",
    "batch-size": "8",
    "learning-rate": "0.01",
    "test-share": "0",
    "validation-share": "0.25",
}
"""A network that is trained in seconds; SageMaker takes minutes to start an instance for it."""

RUNTIME = 900
"""Seconds after which SageMaker stops the job, without the time to find an instance."""

SECONDS = 1800.0
POLL = 2.0
READY = "READY"


@check("training", "A training job gets its code, packages and images, and publishes a model.")
def training(session: Session) -> str:
    model = session.name("trained")
    prefix = f"{DATA_SETS_PREFIX}{model}/"
    session.made.append(model)
    session.prefixes.append(prefix)
    s3 = session.client("s3")
    for name, image in artifacts.images():
        s3.put_object(Bucket=session.stack.bucket, Key=f"{prefix}train/{name}", Body=image)
        session.pause(0)
    job = {
        "model": model,
        "recipe": RECIPE.name,
        "dataset": model,
        "hyperparameters": SETTINGS,
        "minimum": 0,
        "max_runtime": RUNTIME,
    }
    execution = start(session.stack, job)
    session.prefixes.append(f"training/{execution.name}/")
    report = _report(session, execution)
    if report["outcome"] != READY:
        raise Different(f"{report['outcome']}: {report.get('reason', 'no reason')}")
    return f"{report['version']} is READY after the job {report.get('training_job', '')}"


def _report(session: Session, execution: Execution) -> JobReport:
    """Wait for the job's report. Raises Different, NotTried if the run is interrupted."""
    try:
        report = session.until(SECONDS, lambda: execution.status().report, every=POLL)
    except NotTried:
        execution.stop()
        raise
    except NotTrained as error:
        raise Different(str(error)) from error
    if report is None:
        execution.stop()
        raise Different(f"execution {execution.name} did not end within {SECONDS:.0f} s")
    return report


CHECKS = (training,)
