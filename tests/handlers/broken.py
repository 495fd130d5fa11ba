"""A function that cannot be imported."""

import no_such_library  # type: ignore[import-not-found]  # noqa: F401
