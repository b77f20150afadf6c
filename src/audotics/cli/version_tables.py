"""A version, or two side by side, as tables for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from pydantic import JsonValue

from audotics.evaluation.cells import ReportTable, mean_cell, metric_label, number_cell, p_cell
from audotics.evaluation.significance import Interval, PairedDifference
from audotics.lifecycle.comparison import FIRST, SECOND, Measured, VersionComparison
from audotics.registry.manifest import Manifest

_WIDTH = 34
_HEADLINE = ("ndcg@20", "recall@20", "hit_rate@20", "precision@20", "mrr@20")


def version_tables(manifest: Manifest, aliases: Sequence[str]) -> Iterator[ReportTable]:
    """What a manifest says, in the order in which people ask.

    Args:
        manifest: Of the version.
        aliases: What points to it.
    """
    data, config = manifest.dataset, manifest.config
    rows = {
        "name": manifest.name,
        "aliases": ", ".join(aliases) or "-",
        "published": f"{manifest.created_at:%Y-%m-%d %H:%M} UTC",
        "data": data.fingerprint[:12],
        "events": _days(data.starts_at, data.ends_at),
        "ranker": str(config.get("ranker", "-")),
        "retrievers": ", ".join(_names(config.get("retrievers"))) or "-",
        "seeds": ", ".join(f"{name} {seed}" for name, seed in manifest.seeds.items()) or "-",
        "training": f"{manifest.training_s:,.0f} s",
        "files": f"{len(manifest.files)}, {manifest.size_bytes / 2**20:,.1f} MiB",
        "code": manifest.code_version,
    }
    yield _pairs(f"Version {manifest.version}", "", rows)
    judged = _judged(manifest)
    if judged:
        note = f"By listeners who took part in no choice. Held out: {manifest.metrics.get('holdout', '-')}"
        yield _pairs(
            "Quality", note, {metric_label(name): mean_cell(found) for name, found in judged.items()}
        )
    if manifest.environment:
        yield _pairs("Trained with", "", manifest.environment)


def comparison_tables(found: VersionComparison) -> Iterator[ReportTable]:
    """Everything that was found of two versions."""
    if found.measured is not None:
        yield _measured(found.measured)
        yield _segments(found.measured)
        yield _catalogue(found.measured)
    else:
        yield ReportTable(
            "What training measured",
            "Each on listeners of its own, so this is no comparison: give a DATASET for one.",
            ("metric", FIRST, SECOND),
            tuple(
                (metric_label(name), number_cell(a), number_cell(b)) for name, (a, b) in found.told.items()
            ),
        )
    yield _overlap(found)
    lineage = {name: pair for name, pair in found.lineage.items() if pair[0] != pair[1]}
    yield ReportTable(
        "Lineage",
        f"The same of both: {', '.join(name for name in found.lineage if name not in lineage) or 'nothing'}.",
        ("", FIRST, SECOND),
        tuple((name, _cut(a), _cut(b)) for name, (a, b) in lineage.items()),
    )
    yield ReportTable(
        "Settings that differ" if found.config else "No setting differs",
        "",
        ("setting", FIRST, SECOND),
        tuple((name, _json_cell(a), _json_cell(b)) for name, (a, b) in found.config.items()),
    )


def _measured(measured: Measured) -> ReportTable:
    first, second = (measured.report.system(name).metrics for name in (FIRST, SECOND))
    shown = [name for name in _HEADLINE if name in measured.differences]
    shown += [name for name in measured.differences if name.partition("@")[0] in {"novelty", "diversity"}]
    test = measured.report.test
    return ReportTable(
        "Quality",
        f"{test.n_listeners:,} listeners, {test.n_pairs:,} held-out tracks. Differences are first minus "
        "second, listener by listener; p of the paired bootstrap.",
        ("metric", FIRST, SECOND, "difference", "95 % interval", "p"),
        tuple(
            (
                metric_label(name),
                number_cell(first[name].mean),
                number_cell(second[name].mean),
                *_difference(measured.differences[name]),
            )
            for name in shown
        ),
    )


def _segments(measured: Measured) -> ReportTable:
    metric = f"ndcg@{measured.report.test.headline}"
    means = [
        {part.segment: part.metrics[metric] for part in measured.report.system(name).segments}
        for name in (FIRST, SECOND)
    ]
    return ReportTable(
        f"{metric_label(metric)} by segment",
        "",
        ("segment", "listeners", FIRST, SECOND, "difference", "95 % interval", "p"),
        tuple(
            (
                str(segment),
                f"{difference.n:,}",
                *(number_cell(None if segment not in each else each[segment].mean) for each in means),
                *_difference(difference),
            )
            for segment, difference in measured.segments.items()
        ),
    )


def _catalogue(measured: Measured) -> ReportTable:
    first, second = (measured.report.system(name).catalogue for name in (FIRST, SECOND))
    return ReportTable(
        "All lists together",
        "",
        ("", FIRST, SECOND),
        tuple(
            (metric_label(name), number_cell(first[name]), number_cell(second.get(name))) for name in first
        ),
    )


def _overlap(found: VersionComparison) -> ReportTable:
    overlap = found.overlap
    rows = {
        f"Jaccard@{overlap.k}": number_cell(overlap.jaccard),
        "rank-biased overlap": number_cell(overlap.rank_biased),
        "same first track": number_cell(overlap.same_top),
    }
    return _pairs(
        "Overlap of the lists", f"Means over {overlap.n_listeners:,} listeners; 1 is the same.", rows
    )


def _difference(found: PairedDifference) -> tuple[str, str, str]:
    interval = f"{found.low:+.4f} to {found.high:+.4f}"
    return f"{found.difference:+.4f}", interval, p_cell(found.p_value)


def _judged(manifest: Manifest) -> dict[str, Interval]:
    judges = manifest.metrics.get("judges")
    if not isinstance(judges, dict):
        return {}
    return {name: Interval.model_validate(judges[name]) for name in _HEADLINE if name in judges}


def _days(starts_at: datetime | None, ends_at: datetime | None) -> str:
    if starts_at is None or ends_at is None:
        return "without times"
    return f"{starts_at:%Y-%m-%d} to {ends_at:%Y-%m-%d}"


def _pairs(title: str, note: str, rows: Mapping[str, str]) -> ReportTable:
    return ReportTable(title, note, ("", ""), tuple(rows.items()))


def _names(value: JsonValue) -> list[str]:
    return list(value) if isinstance(value, dict) else []


def _json_cell(value: JsonValue) -> str:
    return "-" if value is None else _cut(value if isinstance(value, str) else json.dumps(value))


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
