"""Log lines as JSON, with the fields of the other functions' (`facet.observability`)."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from functools import cache

FIELDS = ("key", "request_id", "status", "error", "seconds")

OWN = ("infer", "serving")
"""Whose loggers have LogLevel. The others stay at WARNING: at DEBUG botocore writes requests with
their session token and signature."""


class Json(logging.Formatter):
    """One line of JSON for each record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, with those of FIELDS that it has."""
        line = {
            "level": record.levelname,
            "message": record.getMessage(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "service": os.environ.get("POWERTOOLS_SERVICE_NAME", ""),
            **{name: found for name in FIELDS if (found := getattr(record, name, None))},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


@cache
def logger() -> logging.Logger:
    """The function's logger, ready to write."""
    log_json()
    return logging.getLogger("infer")


def log_json() -> None:
    """Have all loggers of this process write JSON to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Json())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in OWN:
        logging.getLogger(name).setLevel(os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO"))
