"""functions/train/refusal.py: which refusals of a training job are worth another try."""

import pytest

from train.refusal import LIMIT_EXCEEDED, PAUSES, WAITS, Refusal, read

OTHER = "SageMaker.AmazonSageMakerException"
ID = "Request ID: 1a2b; Proxy: null)"


def limit(name: str, most: str, used: str, asked: str, unit: str = "Instances") -> str:
    """As AWS words it (aws/amazon-sagemaker-examples, issues 307 and 1543)."""
    return (
        f"The account-level service limit {name} is {most} {unit}, with current utilization of "
        f"{used} {unit} and a request delta of {asked} {unit}. Please contact AWS support to "
        "request an increase for this limit. (Service: AmazonSageMaker; Status Code: 400; "
        f"Error Code: ResourceLimitExceeded; {ID}"
    )


@pytest.mark.parametrize(
    "cause",
    [
        limit("'ml.p3.2xlarge for training job usage'", "0", "0", "1"),
        limit("for training-job/ml.p2.xlarge", "0", "0", "2"),
        limit("'Number of instances across all training jobs'", "4", "0", "11"),
        limit("'Longest run time for a training job'", "432,000", "0", "864,000", "Seconds"),
    ],
)
def test_a_quota_below_the_request_fails_at_once(cause: str) -> None:
    found = read(LIMIT_EXCEEDED, cause, 0)
    assert not found.again
    assert "Service Quotas" in found.reason
    assert "instance_type" in found.reason


def test_the_reason_names_the_quota_and_both_numbers() -> None:
    found = read(LIMIT_EXCEEDED, limit("'ml.g5.xlarge for training job usage'", "1", "0", "2"), 0)
    assert found.reason.startswith(
        "the account's SageMaker quota 'ml.g5.xlarge for training job usage' is 1 Instances and "
        "the job asks for 2. "
    )


@pytest.mark.parametrize(
    "cause",
    [
        limit("'ml.p3.8xlarge for training job usage'", "2", "3", "1"),
        limit("'ml.p3.8xlarge for training job usage'", "2", "2", "2"),
        f"Too many training jobs. (Service: AmazonSageMaker; Status Code: 400; {ID}",
    ],
)
def test_a_quota_in_use_is_awaited_for_six_hours(cause: str) -> None:
    seconds = []
    found = Refusal(True, 0, 0, "")
    while (found := read(LIMIT_EXCEEDED, cause, found.times)).again:
        seconds.append(found.seconds)
    assert found.times == len(seconds) + 1 == len(WAITS) + 1
    assert 6 * 3600 <= sum(seconds) < 7 * 3600
    assert found.reason


@pytest.mark.parametrize(
    "cause",
    [
        f"Rate exceeded (Service: AmazonSageMaker; Status Code: 400; Error Code: "
        f"ThrottlingException; {ID}",
        f"null (Service: AmazonSageMaker; Status Code: 500; Error Code: InternalFailure; {ID}",
        f"(Service: AmazonSageMaker; Status Code: 503; Error Code: ServiceUnavailable; {ID}",
        "Service is unable. (Service: SageMaker, Status Code: 503, Request ID: 1)",
        "an error without a code",
    ],
)
def test_passing_faults_are_retried_for_minutes(cause: str) -> None:
    assert [read(OTHER, cause, each).seconds for each in range(len(PAUSES))] == list(PAUSES)
    assert read(OTHER, cause, len(PAUSES)) == Refusal(False, 0, len(PAUSES) + 1, cause)


@pytest.mark.parametrize(
    "cause",
    [
        f"Could not assume role (Service: AmazonSageMaker; Status Code: 400; Error Code: "
        f"ValidationException; {ID}",
        f"not authorized to perform: sagemaker:CreateTrainingJob (Service: AmazonSageMaker; "
        f"Status Code: 400; Error Code: AccessDeniedException; {ID}",
        "1 validation error detected (Service: SageMaker, Status Code: 400, Request ID: 1)",
    ],
)
def test_an_invalid_request_fails_at_once(cause: str) -> None:
    assert read(OTHER, cause, 0) == Refusal(False, 0, 1, cause)
