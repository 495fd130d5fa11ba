"""Which endpoints SageMaker's API knows: DeleteEndpoint and CreateEndpoint change it."""

from moto.sagemaker.models import sagemaker_backends

from local.moto import ACCOUNT, REGION


def exists(name: str) -> bool:
    """Whether there is an endpoint of that name."""
    return name in sagemaker_backends[ACCOUNT][REGION].endpoints
