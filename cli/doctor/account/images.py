"""Check the container images of the endpoint and of training jobs.

The endpoint's is the one that the parameter ServingImageUri names. If the parameter is empty, it is
AWS's (`make deploy SERVING=aws`); without it, Facet's own, which `make deploy` builds if needed.
"""

from collections.abc import Callable

from cli.doctor.access import Access
from cli.doctor.account.plan import NotPublished, Plan
from cli.doctor.ecr import EcrImage
from cli.doctor.result import CheckResult, missing, ok, unknown
from cli.extras import located
from cli.terminal.formatting import one_line
from facet.aws.ecr import ACCEPTED

CHOSEN = "ServingImageUri"


def serving_image(plan: Plan, access: Access) -> CheckResult:
    """Check the endpoint's image."""
    if not plan.serves:
        return ok("serving image", "none: EndpointOn=false")
    if CHOSEN not in plan.given:
        return _own_image(access)

    def uri() -> str:
        (model,) = plan.resources("AWS::SageMaker::Model").values()
        return str(model["PrimaryContainer"]["Image"])

    return _image("serving image", CHOSEN, uri, access)


def _own_image(access: Access) -> CheckResult:
    """Look Facet's image up by the tag of its sources, as `make deploy` does."""
    from deployment import registry, sources, stack  # not in the wheel
    from deployment.progress import ImageError

    try:
        repository = stack.find(stack.NAME, access.client("cloudformation"))
        tag = sources.pack(sources.DEFAULT_RUNTIME).tag
        digest = repository and registry.digest_of(tag, stack.NAME, access.client("ecr"))
    except ImageError as error:
        return missing("serving image", one_line(error), located("docs/deployment.md, `Container`"))
    if repository and digest:
        return ok("serving image", f"{repository.repository_uri}@{digest}")
    return ok("serving image", "a deploy builds it first, in minutes, with AWS CodeBuild")


def training_image(plan: Plan, access: Access) -> CheckResult:
    """Check the training jobs' image."""

    def uri() -> str:
        (machine,) = plan.resources("AWS::Serverless::StateMachine").values()
        return str(machine["DefinitionSubstitutions"]["TrainingImage"])

    return _image("training image", "TrainingImageUri", uri, access)


def _image(check: str, parameter: str, uri: Callable[[], str], access: Access) -> CheckResult:
    """Check that SageMaker can pull an image.

    It takes Docker's manifests only; of AWS's own images, whatever AWS has pushed.
    """
    try:
        name = uri()
    except NotPublished as error:
        return missing(check, str(error), f"choose another AWS_REGION, or set {parameter}")
    image = EcrImage.of(name)
    if not image:
        return unknown(check, f"{name} is not in ECR", "SageMaker must be able to pull it")
    media_type = image.media_type(access)
    if not media_type:
        own = "push it, or " if image.account == access.account else ""
        remedy = f"{own}deploy with another {parameter}"
        return missing(check, f"{name} does not exist", remedy)
    if image.account == access.account and media_type != ACCEPTED:
        remedy = "build it with `--provenance=false --output type=docker`, and push it again"
        return missing(check, f"SageMaker refuses the media type {media_type} of {name}", remedy)
    return ok(check, name)
