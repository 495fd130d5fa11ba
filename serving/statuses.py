"""The HTTP status of each of the container's errors, as AWS's image answers them."""

from http import HTTPStatus

from serving import errors

STATUS: dict[type[errors.ServingError], HTTPStatus] = {
    errors.BadRequest: HTTPStatus.BAD_REQUEST,
    errors.BadInput: HTTPStatus.BAD_REQUEST,
    errors.NotLoaded: HTTPStatus.NOT_FOUND,
    errors.NoSuchVersion: HTTPStatus.NOT_FOUND,
    errors.NoBasePath: HTTPStatus.NOT_FOUND,
    errors.LoadTimedOut: HTTPStatus.REQUEST_TIMEOUT,
    errors.AlreadyLoaded: HTTPStatus.CONFLICT,
    errors.UnsupportedContent: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.MalformedLoad: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.LoadFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.ModelRefused: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.Overran: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.Replacing: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Blocked: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.InferenceFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.NoRoom: HTTPStatus.INSUFFICIENT_STORAGE,
}


def status(error: errors.ServingError) -> HTTPStatus:
    """The status of an error, or of the nearest class above its own."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
