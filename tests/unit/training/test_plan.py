"""functions/train/plan.py: plans every job of an execution, or rejects the input field by field."""

import json
import re
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facet.recipes import RECIPES
from train.input import MAX_JOBS, BadInput
from train.plan import NoTrainingCode, Plan, plan
from train.training_job import (
    DEFAULT_SECURITY,
    MAX_SPOT_WAIT,
    Execution,
    JobSecurity,
    PlannedJob,
)

CODE = "code/0123456789ab/sourcedir.tar.gz"
MOBILENET = {"backbone": "mobilenet"}
EXECUTION = Execution(
    id="arn:aws:states:us-east-1:123456789012:execution:train:monday",
    name="monday",
    started="2026-09-11T14:02:11.482Z",
)
PETS = {"model": "cats", "recipe": "image-folder", "dataset": "pets"}
TRAINING_JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
"""SageMaker's pattern of a training job's name."""


@dataclass(frozen=True)
class ObjectStore:
    """A bucket that has these keys."""

    keys: tuple[str, ...] = (
        CODE,
        "datasets/pets/train/cat/1.jpg",
        "datasets/pets/test/cat/2.jpg",
        "datasets/flowers/train/rose/1.jpg",
        "weights/vgg16/weights.h5",
    )
    region: str = "eu-central-1"

    def uri(self, key: str) -> str:
        return f"s3://bucket/{key}"

    def has(self, prefix: str) -> bool:
        return any(key.startswith(prefix) for key in self.keys)

    def newest(self, prefix: str) -> str | None:
        return next((key for key in reversed(self.keys) if key.startswith(prefix)), None)


def planned(
    *jobs: dict[str, Any],
    execution: Execution = EXECUTION,
    code: str = CODE,
    security: JobSecurity = DEFAULT_SECURITY,
    **more: Any,
) -> Plan:
    return plan({"jobs": list(jobs)} | more, execution, code, ObjectStore(), security)


def one(**changes: Any) -> PlannedJob:
    (job,) = planned(PETS | changes).jobs
    return job


def error_of(*jobs: dict[str, Any], **more: Any) -> str:
    with pytest.raises(BadInput) as raised:
        planned(*jobs, **more)
    return str(raised.value)


def test_the_recipe_fills_in_what_a_job_omits() -> None:
    job, known = one(), RECIPES["image-folder"]
    assert (job.metric, job.minimum) == (known.metric, known.minimum)
    assert job.resources == {
        "InstanceType": known.instance_type,
        "InstanceCount": 1,
        "VolumeSizeInGB": 50,
    }
    assert job.stopping == {"MaxRuntimeInSeconds": known.max_runtime}
    assert (job.spot, job.allow_worse) == (False, False)
    assert planned(PETS).concurrency == 2


def test_a_job_overrides_its_recipe() -> None:
    job = one(
        metric="test_accuracy",
        minimum=0.0,
        instance_type="ml.g5.xlarge",
        instance_count=2,
        max_runtime=60,
        allow_worse=True,
    )
    assert (job.metric, job.minimum) == ("test_accuracy", 0.0)
    assert (job.resources["InstanceType"], job.resources["InstanceCount"]) == ("ml.g5.xlarge", 2)
    assert job.stopping == {"MaxRuntimeInSeconds": 60}
    assert job.allow_worse


def test_a_minimum_of_zero_overrides_the_recipe() -> None:
    assert RECIPES["cifar10"].minimum
    assert one(recipe="cifar10", minimum=0).minimum == 0


def test_only_spot_jobs_have_a_maximum_wait_time() -> None:
    job = one(spot=True, max_runtime=100)
    assert job.stopping == {
        "MaxRuntimeInSeconds": 100,
        "MaxWaitTimeInSeconds": 100 + MAX_SPOT_WAIT,
    }


def test_only_channels_that_exist_are_passed() -> None:
    names = [each["ChannelName"] for each in one().channels]
    assert names == ["train", "test"]
    train, _, weights = one(weights="weights/vgg16/", hyperparameters=MOBILENET).channels
    assert train["DataSource"] == {
        "S3DataSource": {
            "S3DataType": "S3Prefix",
            "S3Uri": "s3://bucket/datasets/pets/train/",
            "S3DataDistributionType": "FullyReplicated",
        }
    }
    assert weights["ChannelName"] == "weights"


def test_hyperparameters_are_json_encoded_for_script_mode() -> None:
    """The training toolkit would read a model named 1e5 as a number if it were plain text."""
    job = one(model="1e5", hyperparameters={"epochs": 3, "flip": True, "learning-rate": 0.001})
    decoded = {name: json.loads(value) for name, value in job.hyperparameters.items()}
    assert decoded == {
        "epochs": 3,
        "flip": True,
        "learning-rate": 0.001,
        "recipe": "image-folder",
        "model": "1e5",
        "dataset": "pets",
        "sagemaker_program": "training/train.py",
        "sagemaker_submit_directory": f"s3://bucket/{CODE}",
        "sagemaker_region": "eu-central-1",
    }


def test_outputs_and_checkpoints_are_stored_under_the_execution() -> None:
    job = one()
    assert job.output == {"S3OutputPath": "s3://bucket/training/monday/cats"}
    assert job.checkpoints.startswith("s3://bucket/training/monday/cats/checkpoints/")


KEY = "arn:aws:kms:eu-central-1:123456789012:key/1"


def secured(security: JobSecurity, **changes: Any) -> PlannedJob:
    (job,) = planned(PETS | changes, security=security).jobs
    return job


def test_a_kms_key_encrypts_volume_and_output() -> None:
    job = secured(JobSecurity(key=KEY), instance_type="ml.m5.xlarge")
    assert job.resources["VolumeKmsKeyId"] == KEY
    assert job.output["KmsKeyId"] == KEY


@pytest.mark.parametrize(
    "kind", ["ml.g5.xlarge", "ml.g4dn.xlarge", "ml.m5d.large", "ml.p4d.24xlarge", "ml.c6gd.large"]
)
def test_instances_with_a_local_disk_get_no_volume_key(kind: str) -> None:
    job = secured(JobSecurity(key=KEY), instance_type=kind)
    assert "VolumeKmsKeyId" not in job.resources
    assert job.output["KmsKeyId"] == KEY


def test_jobs_run_in_the_vpc_if_subnets_are_set() -> None:
    assert one().network is None
    security = JobSecurity(subnets="subnet-1,subnet-2", security_groups="sg-1")
    assert secured(security).network == {
        "Subnets": ("subnet-1", "subnet-2"),
        "SecurityGroupIds": ("sg-1",),
    }


@given(st.text(min_size=1, max_size=80), st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True))
def test_job_names_match_sagemakers_pattern_for_any_execution_name(name: str, model: str) -> None:
    execution = named(name)
    (job,) = planned(PETS | {"model": model}, execution=execution).jobs
    assert TRAINING_JOB_NAME.fullmatch(f"{job.name}-99-9-99")
    assert re.fullmatch(
        r"s3://bucket/training/[A-Za-z0-9._-]+/[a-z0-9-]+", job.output["S3OutputPath"]
    )


def named(name: str) -> Execution:
    return EXECUTION.model_copy(update={"name": name})


def test_job_names_are_unique() -> None:
    long = "a-model-whose-name-is-long-"
    jobs = planned(PETS | {"model": f"{long}1"}, PETS | {"model": f"{long}2"}).jobs
    again = EXECUTION.model_copy(update={"started": "2027-01-01T00:00:00.000Z"})
    other = EXECUTION.model_copy(update={"id": EXECUTION.id.replace("train:", "other:")})
    names = [job.name for job in jobs] + [
        planned(PETS | {"model": f"{long}1"}, execution=each).jobs[0].name
        for each in (again, other)
    ]
    assert len(set(names)) == 4


def test_the_same_execution_gives_the_same_plan() -> None:
    assert planned(PETS) == planned(PETS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "Cats"}, r"jobs\[0\]\.model Cats: "),
        ({"recipe": "alexnet"}, r"jobs\[0\]\.recipe alexnet: there are cifar10, "),
        ({"dataset": "a/b"}, r"jobs\[0\]\.dataset a/b: "),
        (
            {"dataset": "birds"},
            r"jobs\[0\]\.dataset birds: there is nothing at s3://bucket/datasets/birds/train/; ",
        ),
        ({"hyperparameters": {"epochs": 0}}, r"jobs\[0\]\.hyperparameters\.epochs 0: "),
        ({"hyperparameters": {"speed": 9}}, r"jobs\[0\]\.hyperparameters\.speed: there is no such"),
        ({"instance_type": "big"}, r"jobs\[0\]\.instance_type big: "),
        ({"instance_count": 0}, r"jobs\[0\]\.instance_count 0: "),
        ({"max_runtime": 0}, r"jobs\[0\]\.max_runtime 0: "),
        ({"metric": "loss"}, r"jobs\[0\]\.metric loss: "),
        ({"minimum": 1.5}, r"jobs\[0\]\.minimum 1\.5: "),
        ({"weights": "mme/x/"}, r"jobs\[0\]\.weights mme/x/: "),
        (
            {"weights": "weights/none/", "hyperparameters": MOBILENET},
            r"jobs\[0\]\.weights weights/none/: there is nothing at ",
        ),
        (
            {"weights": "weights/none/", "hyperparameters": {"backbone": "cnn"}},
            r"jobs\[0\]\.weights weights/none/: cnn is trained from scratch; remove weights, or ",
        ),
        ({"colour": "red"}, r"jobs\[0\]\.colour red: Extra inputs"),
    ],
)
def test_an_error_names_the_wrong_field(changes: dict[str, Any], message: str) -> None:
    assert re.match(message, error_of(PETS | changes))


def test_all_wrong_fields_are_reported_at_once() -> None:
    message = error_of(
        PETS | {"hyperparameters": {"epochs": 0}}, PETS | {"model": "b", "recipe": "none"}, PETS
    )
    assert [line.partition(" ")[0] for line in message.splitlines()] == [
        "jobs[0].hyperparameters.epochs",
        "jobs[1].recipe",
        "jobs[2].model",
    ]


def test_rejects_input_with_no_jobs_or_too_many() -> None:
    assert error_of().startswith("jobs: ")
    assert error_of(*[PETS] * (MAX_JOBS + 1)).startswith("jobs: ")
    assert error_of(PETS, concurrency=0).startswith("concurrency 0: ")
    assert error_of(PETS | {"model": None}).startswith("jobs[0].model None: ")
    documents: tuple[object, ...] = ([], "train", None, {})
    for document in documents:
        with pytest.raises(BadInput, match=r"^(input|jobs)"):
            plan(document, EXECUTION, CODE, ObjectStore())


def test_missing_training_code_says_how_to_upload_it() -> None:
    with pytest.raises(NoTrainingCode, match="make deploy"):
        planned(PETS, code="")
    with pytest.raises(NoTrainingCode, match="no training code at s3://bucket/code/f/s"):
        planned(PETS, code="code/f/s")


def test_rejects_an_instance_count_that_does_not_divide_the_batch_size() -> None:
    message = error_of(PETS | {"instance_count": 3})
    assert message.startswith("jobs[0].instance_count 3: batches of 32 images cannot be ")
    assert one(instance_count=3, hyperparameters={"batch-size": 33}).resources["InstanceCount"] == 3


def test_a_test_metric_needs_test_images() -> None:
    flowers = PETS | {"dataset": "flowers", "metric": "test_accuracy"}
    assert planned(flowers)  # image-folder sets some aside
    message = error_of(flowers | {"hyperparameters": {"test-share": 0}})
    assert message == (
        "jobs[0].metric test_accuracy: the data set has no test channel and no test images are "
        "split off; upload test/ or set test-share."
    )
    assert planned(flowers | {"recipe": "cifar10"})


def test_rejects_images_too_small_for_the_backbone() -> None:
    message = error_of(PETS | {"hyperparameters": {"backbone": "vgg16", "image-size": 16}})
    assert message == "jobs[0].hyperparameters.image-size 16: vgg16 takes 32 or more."


def test_a_hyperparameter_without_effect_is_refused_before_a_job_starts() -> None:
    given: dict[str, Any] = MOBILENET | {"rotation": 45, "flip": True, "width": 8, "views": 1}
    assert error_of(PETS | {"hyperparameters": given}).splitlines() == [
        "jobs[0].hyperparameters.width 8: has no effect, because mobilenet has its own numbers of "
        "filters; remove it, or set backbone to cnn.",
        *(
            f"jobs[0].hyperparameters.{each}: has no effect, because only features of the "
            "unchanged images are cached; set views and epochs to 2 or more, or cache-features to "
            "false."
            for each in ("rotation 45.0", "flip True")
        ),
    ]
    del given["width"]
    assert one(hyperparameters=given | {"views": 2})


def test_shares_are_refused_if_nothing_is_split_off() -> None:
    shares = {"validation-share": 0.2, "test-share": 0.2}
    assert error_of(PETS | {"hyperparameters": shares}) == (
        "jobs[0].hyperparameters.test-share 0.2: has no effect, because the data set has a channel "
        "'test', so that none is split off; remove it."
    )
    assert one(hyperparameters=shares | {"test-share": 0})


def test_a_hyperparameter_is_given_once() -> None:
    message = error_of(PETS | {"hyperparameters": {"batch-size": 8, "batch_size": 16}})
    assert message.endswith("batch_size: it is given twice, with '-' and with '_'.")


def test_a_job_gets_the_live_versions_artifact_as_a_channel() -> None:
    """The URI of one object: SageMaker puts the file right below the channel's folder."""
    key = "mme/cats/0123456789ab.tar.gz"
    jobs = {"jobs": [PETS, PETS | {"model": "dogs"}]}
    cats, dogs = plan(
        jobs, EXECUTION, CODE, ObjectStore(), live={"cats": key, "dogs": None}.get
    ).jobs
    assert [each["ChannelName"] for each in cats.channels] == ["train", "test", "live"]
    source: Any = cats.channels[-1]["DataSource"]
    assert source["S3DataSource"]["S3Uri"] == f"s3://bucket/{key}"
    assert [each["ChannelName"] for each in dogs.channels] == ["train", "test"]


def test_each_prefix_is_looked_up_once() -> None:
    looked_up: list[str] = []

    class Counting(ObjectStore):
        def has(self, prefix: str) -> bool:
            looked_up.append(prefix)
            return super().has(prefix)

    job = PETS | {
        "weights": "weights/vgg16/",
        "metric": "test_accuracy",
        "hyperparameters": MOBILENET,
    }
    plan({"jobs": [job]}, EXECUTION, CODE, Counting())
    assert sorted(looked_up) == [
        CODE,
        "datasets/pets/test/",
        "datasets/pets/train/",
        "datasets/pets/validation/",
        "weights/vgg16/",
    ]


def test_a_resumed_job_continues_the_newest_checkpoint_of_an_execution() -> None:
    prefix = "training/last-week-1/cats/checkpoints"
    store = ObjectStore((*ObjectStore.keys, f"{prefix}/old/p.npz", f"{prefix}/new/p.npz"))
    job = PETS | {"resume": "last week:1"}
    (made,) = plan({"jobs": [job]}, EXECUTION, CODE, store).jobs
    (fresh,) = planned(PETS).jobs
    assert made.checkpoints == f"s3://bucket/{prefix}/new"
    assert replace(made, checkpoints=fresh.checkpoints) == fresh


def test_a_job_without_a_checkpoint_cannot_be_resumed() -> None:
    (problem,) = refused({"jobs": [PETS | {"resume": "tuesday"}]})
    where = "s3://bucket/training/tuesday/cats/checkpoints/"
    assert problem.startswith(f"jobs[0].resume tuesday: there is no checkpoint at {where}. ")


def refused(document: object) -> list[str]:
    with pytest.raises(BadInput) as caught:
        plan(document, EXECUTION, CODE, ObjectStore())
    return str(caught.value).splitlines()


def test_every_wrong_hyperparameter_is_named() -> None:
    job = PETS | {"hyperparameters": {"epochs": "one", "image-size": "big"}}
    assert [line.split(":")[0] for line in refused({"jobs": [job]})] == [
        "jobs[0].hyperparameters.image-size big",
        "jobs[0].hyperparameters.epochs one",
    ]


def test_a_wrong_field_hides_no_hyperparameter_of_any_job() -> None:
    jobs = [
        PETS | {"hyperparameters": {"epochs": 0}},
        PETS | {"model": "UPPER", "recipe": "none", "hyperparameters": {"views": [1]}},
    ]
    found = {line.split(":")[0].split(" ")[0] for line in refused({"jobs": jobs})}
    assert found == {
        "jobs[0].hyperparameters.epochs",
        "jobs[1].model",
        "jobs[1].recipe",
        "jobs[1].hyperparameters.views",
    }


def test_a_wrong_job_is_not_also_counted_as_missing() -> None:
    (line,) = refused({"jobs": [PETS | {"extra": 1}]})
    assert line.startswith("jobs[0].extra 1: Extra inputs are not permitted")
    assert refused({"jobs": []})[0].startswith("jobs: ")


@pytest.mark.parametrize("document", [[], [PETS], "train", 5, None])
def test_an_input_that_is_no_object(document: object) -> None:
    assert refused(document) == ['input: it must be an object, such as {"jobs": [...]}.']
