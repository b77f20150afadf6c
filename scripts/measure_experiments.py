"""How far the statistics of experiments can be believed, on simulated listeners whose truth is known.

    python scripts/measure_experiments.py aa [--tests 2000] [--listeners 1000] [--metric completion]
    python scripts/measure_experiments.py power [--tests 200] [--listeners 2000] [--plot FILE.svg]
    python scripts/measure_experiments.py faults [--tests 20] [--listeners 4000]
    python scripts/measure_experiments.py off-policy [--tests 200] [--obp FOLDER]

FOLDER holds obp 0.5.7: pip install --ignore-requires-python --no-deps --target FOLDER obp==0.5.7.
Every table is printed as Markdown.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from experiment_faults import PLANTED, clean, found_by, mismatch_looks
from experiment_policies import load_obp, make_world, measure
from experiment_runs import N_DAYS, Power, false_alarms, power_of

from audotics.experiments.definition import MetricName
from audotics.experiments.rehearsal import Population

UPLIFTS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.08)
POPULATION = 20_000


def aa(options: argparse.Namespace) -> None:
    """Line 1: tests without an effect."""
    people = Population.simulated(POPULATION, options.seed)
    size = f"{options.tests:,} A/A tests of {options.listeners:,} listeners"
    print(f"{size}, {N_DAYS} daily looks, 5 % promised\n")
    print("| metric | | always valid, any day | naive, any day | fixed, last day | uniform (KS p) |")
    print("|---|---|---|---|---|---|")
    for name in options.metric:
        lines = false_alarms(people, options.tests, options.listeners, MetricName(name), options.seed)
        print("\n".join(lines), flush=True)


def power(options: argparse.Namespace) -> None:
    """Line 2: planted uplifts. Interleaving beside A/B is measured by measure_interleaving.py."""
    people = Population.simulated(POPULATION, options.seed)
    print(f"{options.tests:,} tests of {options.listeners:,} listeners each, {N_DAYS} days, completion rate;")
    print("pairs are without / with CUPED.\n")
    print(
        "| change | found, last day | found, any day | covered, last day | covered, all days | median day |"
    )
    print("|---|---|---|---|---|---|")
    rows = []
    for uplift in UPLIFTS:
        row = power_of(people, options.tests, options.listeners, uplift, options.seed)
        rows.append(row)
        print(
            f"| {row.relative:+.1%} | {_pair(row.fixed)} | {_pair(row.any_day)} |"
            f" {_pair(row.covered_fixed)} | {_pair(row.covered_any_day)} | {row.days_until_found:.0f} |",
            flush=True,
        )
    if options.plot:
        _plot(rows, options.plot)


def faults(options: argparse.Namespace) -> None:
    """Line 3: planted faults and false alarms."""
    people = Population.simulated(options.listeners, options.seed)
    print(f"{options.tests} rehearsals of {options.listeners:,} listeners, 14 days each\n")
    print("| fault | found by its check | other checks | said |")
    print("|---|---|---|---|")
    for name, (fault, check) in PLANTED.items():
        checks, said = found_by(people, fault, options.tests, options.seed)
        text = next((finding.text for finding in said if finding.check == check), "–")
        others = {other: n for other, n in checks.items() if other != check}
        print(f"| {name} | {checks[check]} of {options.tests} | {others or '–'} | {text} |", flush=True)
    checks, _ = found_by(people, clean, 5 * options.tests, options.seed + 10_000)
    print(f"\nWithout a fault, {5 * options.tests} rehearsals: {dict(checks) or 'no check found anything'}")
    print("\nSample ratio at 1 %, daily looks for 28 days\n")
    print("| listeners | lost from one arm | found, always valid | found, chi-squared |\n|---|---|---|---|")
    for n_listeners, lost in ((14_000, 0.0), (14_000, 0.1), (50_000, 0.05), (200_000, 0.02)):
        always, fixed = mismatch_looks(n_listeners, lost, 10_000, options.seed)
        print(f"| {n_listeners:,} | {lost:.0%} | {always:.2%} | {fixed:.2%} |")


def off_policy(options: argparse.Namespace) -> None:
    """Line 4: estimates against the truth."""
    world, obp = make_world(options.seed), load_obp(options.obp)
    if obp is None:
        print("obp is not there (--obp FOLDER): its column is empty\n")
    print(
        f"{options.tests} logs each; the logging policy earns {world.truth(world.logging):.4f} per answer\n"
    )
    heads = "target", "truth", "answers", "estimator", "bias", "deviation", "RMSE", "covered"
    print(f"| {' | '.join(heads)} | obp: bias, deviation | refused |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    gaps = []
    for name, target in world.targets.items():
        for n_answers in (1000, 10_000):
            lines, gap = measure(world, target, n_answers, options.tests, obp, options.seed)
            gaps.append(gap)
            for line in lines:
                print(f"| {name} | {world.truth(target):.4f} | {n_answers:,} | {line}", flush=True)
    if obp is not None:
        print(f"\nLargest difference to obp on the same log: {max(gaps):.1e}")


def _pair(shares: tuple[float, float]) -> str:
    return f"{shares[0]:.1%} / {shares[1]:.1%}"


def _plot(rows: list[Power], target: Path) -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from audotics.evaluation.plots import ACCENT, OTHERS, STYLE

    with rc_context(STYLE):
        figure = Figure(figsize=(7.0, 3.6))
        axis = figure.subplots()
        change = [100 * row.relative for row in rows]
        for name, pick, style in (("last day", "fixed", "-"), ("any day, always valid", "any_day", "--")):
            for place, (cuped, colour) in enumerate(((", no CUPED", OTHERS[0]), (", CUPED", ACCENT))):
                shares = [100 * getattr(row, pick)[place] for row in rows]
                axis.plot(change, shares, style, color=colour, marker="o", markersize=3.5, label=name + cuped)
        axis.axhline(5, color=OTHERS[2], linewidth=0.8)
        axis.set(xlabel="true change of the completion rate, %", ylabel="found, %", ylim=(0, 103))
        axis.legend(frameon=False)
        axis.grid()
        figure.savefig(target, metadata={"Date": None} if target.suffix == ".svg" else None)


def main() -> None:
    """Run one of the measurements and say how long it took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for name, run, tests, listeners in (
        ("aa", aa, 2000, 1000),
        ("power", power, 200, 2000),
        ("faults", faults, 20, 4000),
        ("off-policy", off_policy, 200, 0),
    ):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--tests", type=int, default=tests)
        command.add_argument("--listeners", type=int, default=listeners)
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--metric", nargs="+", default=["completion"])
        command.add_argument("--plot", type=Path)
        command.add_argument("--obp", type=Path)
    options = parser.parse_args()
    started = time.perf_counter()
    options.run(options)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
