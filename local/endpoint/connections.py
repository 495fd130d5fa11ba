"""HTTP connections to the container and to S3, kept open and used again."""

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

IDLE = 60.0  # seconds that an unused one is kept; the container keeps it for longer


def connections() -> ClientSession:
    """To be made on the event loop that uses them, and closed there. Nothing is added to a request
    or taken from an answer, and nothing times out by itself."""
    return ClientSession(
        connector=TCPConnector(limit=0, keepalive_timeout=IDLE),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        timeout=ClientTimeout(total=None),
    )
