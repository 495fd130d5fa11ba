"""The functions' settings, from the environment that template.yaml gives them."""

import os
from functools import cache

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from facet.keys import MODEL_NAME
from facet.registry.models import RunIn

PREFIX = "FACET_"
WATCHED = rf"^({MODEL_NAME.pattern}(,{MODEL_NAME.pattern}){{0,19}})?$"
OPS = r"^([A-Za-z0-9_>.]+(,[A-Za-z0-9_>.]+)*)?$"


class Settings(BaseModel):
    """Each field is the environment variable `FACET_<FIELD>` of the functions in template.yaml.

    bucket: name of the models' bucket.  table: name of the registry table.
    endpoint: name of the multi-model endpoint.
    invoke_timeout: seconds that one invocation of the endpoint may take.
    registry_ttl: seconds for which the predict function caches a live version.
    head_cache: bytes of heads' weights that the predict function keeps in memory.
    topic: ARN of the SNS topic that gets events about versions; empty for none.
    golden_required: whether an artifact without a golden sample is rejected.
    more_ops: TensorFlow ops, and control flow of LiteRT, allowed beside the built-in list,
    separated by commas.
    answer_within: seconds in which a loaded model must answer one image.
    keep_versions: how many of a model's READY versions are kept.
    sweep_after: minutes that an upload waits before the sweeper resubmits it.
    delete_after: minutes after which a RETIRED version's artifact is deleted.
    onboard_function: name of the function that the sweeper resubmits uploads to; empty elsewhere.
    teach_function: name of the function that teaches; empty but where it is invoked.
    infer_function: name of the function that runs LiteRT models; empty where none are run.
    run_in: where models run whose policy does not say it: `endpoint`, `function` or `auto`.
    max_body: bytes of a request's body.  max_pixels: pixels of an image, as its file has them.
    max_images: images of one request.  max_upload: bytes of an image under `inbox/`.
    upload_expires: seconds for which a place under `inbox/` can be uploaded to.
    allow_origin: origin whose pages may call the API from a browser, `*` for all; empty for none.
    delete_keys: ids of the API keys that may delete models, separated by commas, `*` for all.
    watched_models: names of the models with metrics of their own, separated by commas.
    """

    model_config = ConfigDict(frozen=True)

    bucket: str = Field(min_length=3)
    table: str = Field(min_length=3)
    endpoint: str = Field(min_length=1)
    invoke_timeout: float = Field(gt=0)
    registry_ttl: float = Field(ge=0)
    head_cache: int = Field(ge=0)
    topic: str
    golden_required: bool
    more_ops: str = Field(pattern=OPS)
    answer_within: float = Field(gt=0)
    keep_versions: int = Field(ge=1)
    sweep_after: float = Field(gt=0)
    delete_after: float = Field(gt=0)
    onboard_function: str
    teach_function: str
    infer_function: str
    run_in: RunIn
    max_body: int = Field(ge=1, le=4_500_000)
    max_pixels: int = Field(ge=1)
    max_images: int = Field(ge=1)
    max_upload: int = Field(ge=1)
    upload_expires: int = Field(ge=1)
    allow_origin: str
    delete_keys: str
    watched_models: str = Field(pattern=WATCHED)

    @property
    def ops(self) -> frozenset[str]:
        """The names in `more_ops`."""
        return frozenset(name for name in self.more_ops.split(",") if name)

    @property
    def watched(self) -> frozenset[str]:
        """The names in `watched_models`."""
        return frozenset(self.watched_models.split(",")) - {""}


@cache
def settings() -> Settings:
    """The settings of this process, read once.

    Raises RuntimeError where the environment lacks one.
    """
    values = {
        name: os.environ[variable]
        for name in Settings.model_fields
        if (variable := PREFIX + name.upper()) in os.environ
    }
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        wrong = ", ".join(PREFIX + str(each["loc"][0]).upper() for each in error.errors())
        raise RuntimeError(
            f"set these environment variables as template.yaml does: {wrong}"
        ) from error
