"""Measures the cold start of the function that runs LiteRT models, by parts.

    python -m benchmarks.infer

Writes its part of docs/benchmarks.md.
"""

from benchmarks import machine
from benchmarks.document import write
from benchmarks.infer import coldstart


def main() -> None:
    """Measures and writes."""
    print(machine.describe(), flush=True)
    write(
        "infer-coldstart",
        [
            *coldstart.table(coldstart.measure()),
            "",
            f"Medians of {coldstart.ROUNDS} rounds, each in fresh interpreters, whose own start is "
            "not counted; modules are compiled. The model is the sample `cifar`, in a local S3.",
        ],
    )


if __name__ == "__main__":
    main()
