from benchmarks.onboarding import Round, report

ROUNDS = [Round(4.0, 5.0, 100 << 20), Round(5.0, 5.0, 120 << 20), Round(10.0, 4.0, 110 << 20)]


def test_the_report_has_medians_and_every_rounds_ratio() -> None:
    text = "\n".join(report(500_000_000, ROUNDS))
    assert "| `gunzip -c` to /dev/null | 5.00 | |" in text
    assert "| read, digested and checked by Facet | 5.00 | 120 |" in text
    assert "Ratio **1.00** (by round: 1.25 / 1.00 / 0.40); target ≤ 1.5, in ≤ 256 MiB." in text
    assert "500 MB" in text
