"""Run the checks: training beside the others, each by itself, and the clean-up in any case."""

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from cli.verify.check import Check, Finding
from cli.verify.checks import AFTER, AT_THE_END, BESIDE, CHECKS, FIRST
from cli.verify.session import Session


@dataclass(frozen=True)
class Plan:
    """The names of the checks to run, and why others are left out; both are reported."""

    chosen: Collection[str]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def of(self, checks: Iterable[Check]) -> list[Check]:
        """Those of the checks that are to run."""
        return [each for each in checks if each.name in self.chosen]


def carry_out(
    session: Session,
    plan: Plan,
    begun: Callable[[Check], object],
    show: Callable[[Finding], object],
) -> list[Finding]:
    """Run the plan's checks, then the clean-up; `show` gets each finding as it comes.

    A KeyboardInterrupt ends the checks, and is raised again after the clean-up. A check that then
    runs beside the others ends, too, and is shown: it may have failed to stop what it started.
    """
    findings: list[Finding] = []

    def add(new: Iterable[Finding]) -> None:
        for each in new:
            findings.append(each)
            show(each)

    def run(checks: Iterable[Check]) -> None:
        for each in checks:
            begun(each)
            add(each.findings(session))

    try:
        with ThreadPoolExecutor() as executor:
            beside: list[tuple[Check, Future[list[Finding]]]] = []
            try:
                for each in plan.of(BESIDE):
                    beside.append((each, executor.submit(each.findings, session)))
                run(plan.of(FIRST))
                for each, future in beside:
                    begun(each)
                    add(future.result())
                run(plan.of(AFTER))
                add(CHECKS[name].untried(why) for name, why in sorted(plan.left_out.items()))
            except BaseException as error:
                session.stopped.set()
                if isinstance(error, KeyboardInterrupt):
                    session.remark("interrupted: deleting what this run made …")
                for each, future in beside:
                    if each.name not in {one.check for one in findings}:
                        add(future.result())
                raise
    finally:
        run(AT_THE_END)
    return findings
