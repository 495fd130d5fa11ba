"""The container's errors. The caller reads the text of each; `statuses.STATUS` maps them."""


class ServingError(Exception):
    """Base of the errors below."""


class BadRequest(ServingError):
    """The model's name or the custom attributes of a request are invalid."""


class BadInput(ServingError):
    """The input does not fit the model's signature."""


class UnsupportedContent(ServingError):
    """The body has a content type that the container does not read."""


class MalformedLoad(ServingError):
    """The body of a load request is no JSON object with `model_name` and `url`."""


class NotLoaded(ServingError):
    """No model of that name is loaded."""


class NoSuchVersion(ServingError):
    """The model is loaded, but not in that version."""


class NoBasePath(ServingError):
    """The artifact has no folder with a number for a name."""


class AlreadyLoaded(ServingError):
    """A model of that name is loaded."""


class NoRoom(ServingError):
    """The model needs more memory than is left."""


class LoadTimedOut(ServingError):
    """The load took longer than `Settings.load_timeout`."""


class LoadFailed(ServingError):
    """The runtime cannot load the model."""


class ModelRefused(ServingError):
    """The model lately ended the process too often, or never ended, to be loaded again now."""


class Overran(ServingError):
    """Loading or computing the model took longer than its limit."""


class Replacing(ServingError):
    """The process is about to end, because a model in it does not end."""


class InferenceFailed(ServingError):
    """The model failed on an input that fits its signature."""


class Blocked(ServingError):
    """Requests wait, and no computation ends."""
