"""The function's process, in which models with certain names end it, never end, or take memory."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

from infer.process import runner


class FragileRunner(runner.Runner):
    """`dies/…` kills the process, `hangs/…` computes for ever, `grows/…` takes all memory."""

    def answer(self, about: Mapping[str, Any], body: bytes) -> runner.Answer:
        match about["model"].partition("/")[0]:
            case "dies":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "exits":
                sys.exit(3)
            case "hangs":
                time.sleep(600)
            case "babbles":
                return {"status": "no number"}, b"{}"
        return super().answer(about, body)


if __name__ == "__main__":
    runner.Runner = FragileRunner  # type: ignore[misc]
    runner.main()
