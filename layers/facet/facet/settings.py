"""The functions' settings, from the environment that template.yaml gives them."""

import os
from functools import cache

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PREFIX = "FACET_"


class Settings(BaseModel):
    """Each field is the environment variable `FACET_<FIELD>` of the functions in template.yaml.

    bucket: name of the models' bucket.  table: name of the registry table.
    endpoint: name of the multi-model endpoint.
    invoke_timeout: seconds that one invocation of the endpoint may take.
    registry_ttl: seconds for which a live version may be answered from memory.
    """

    model_config = ConfigDict(frozen=True)

    bucket: str = Field(min_length=3)
    table: str = Field(min_length=3)
    endpoint: str = Field(min_length=1)
    invoke_timeout: float = Field(gt=0)
    registry_ttl: float = Field(ge=0)


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
