"""Keep-alive HTTP connections to the container and to S3."""

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

IDLE = 60.0  # seconds until an unused connection is closed; the container waits 75


def connections() -> ClientSession:
    """A session to create, use and close on one event loop.

    It adds no headers, keeps no cookies, decompresses nothing and has no timeout of its own.
    """
    return ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=IDLE),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        timeout=ClientTimeout(total=None),
    )
