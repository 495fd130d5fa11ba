"""moto's memory, which all accounts of a test process share."""

from moto.backends import get_backend


def forget(*services: str) -> None:
    """Empties services, for the next account to start with."""
    for service in services:
        for account in get_backend(service).values():  # type: ignore[call-overload]
            for region in account.values():
                region.reset()
