"""What can go wrong in the container. The text of each error is its answer to the caller."""


class ServingError(Exception):
    """Root of the errors below; `app.STATUS` has a row for every one of them."""


class BadRequest(ServingError):
    """A request that is wrong whatever the model: its name, its attributes."""


class BadInput(ServingError):
    """An input that the model's signature does not take."""


class UnsupportedContent(ServingError):
    """A body of a type that the container does not read."""


class MalformedLoad(ServingError):
    """A load request that is not an object with `model_name` and `url`."""


class NotLoaded(ServingError):
    """No model of that name is loaded."""


class NoSuchVersion(ServingError):
    """The model is loaded, but not in that version."""


class NoBasePath(ServingError):
    """Nothing to load: no folder there, or none in it whose name is a number."""


class AlreadyLoaded(ServingError):
    """A model of that name is loaded."""


class NoRoom(ServingError):
    """Loading would take more memory than the budget leaves."""


class LoadTimedOut(ServingError):
    """Loading took longer than the container waits for it."""


class LoadFailed(ServingError):
    """The runtime cannot load the artifact."""


class ModelRefused(ServingError):
    """The model ended the process too often lately to be loaded again now."""


class InferenceFailed(ServingError):
    """The model failed although its input fits its signature."""
