"""Why an invocation has no predictions; `answers.STATUS` maps to statuses what is an answer."""


class InferError(Exception):
    """Base of the errors below. The text is what the caller reads."""


class BadEvent(InferError):
    """The event is not what this function takes."""


class ModelMissing(InferError):
    """The bucket does not have that LiteRT model, or has another one in its place."""


class ModelUnreadable(InferError):
    """Policies, or the key that the model is encrypted with, do not let this function read it.

    This is the operator's to repair: it is no answer, but ends the invocation, so that Lambda
    counts an error and the alarm for them names it. Callers ask the model's other place.
    """


class ModelTooLarge(InferError):
    """The model does not fit, however many others are unloaded."""


class StoreUnavailable(InferError):
    """The model cannot be read from the bucket, or not be kept on disk, at the moment."""


class DiskFull(InferError):
    """There is no space on disk for the model's file."""


class NotStarted(InferError):
    """The process that runs models could not start, which is no fault of the model's."""


class ModelStopped(InferError):
    """The model ended its process, or did not end itself."""
