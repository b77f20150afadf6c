"""Experiments: who sees what, what it did to listeners, and what would have happened without showing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audotics.lazy_names import lazy_names

if TYPE_CHECKING:
    from audotics.experiments.analysis import analyse as analyse
    from audotics.experiments.arms import Arm as Arm
    from audotics.experiments.assignment import Assignment as Assignment
    from audotics.experiments.definition import Definition as Definition
    from audotics.experiments.definition import Experiment as Experiment
    from audotics.experiments.definition import Metric as Metric
    from audotics.experiments.definition import MetricName as MetricName
    from audotics.experiments.definition import Role as Role
    from audotics.experiments.experiment_report import ExperimentReport as ExperimentReport
    from audotics.experiments.interleaving import team_draft as team_draft
    from audotics.experiments.logged import report_from_journal as report_from_journal
    from audotics.experiments.off_policy import Estimator as Estimator
    from audotics.experiments.off_policy import Logged as Logged
    from audotics.experiments.off_policy import PolicyValue as PolicyValue
    from audotics.experiments.off_policy import SupportError as SupportError
    from audotics.experiments.off_policy import policy_value as policy_value
    from audotics.experiments.planning import plan as plan
    from audotics.experiments.rates import rate_difference as rate_difference
    from audotics.experiments.rates import rate_excess_p_value as rate_excess_p_value
    from audotics.experiments.rehearsal import Population as Population
    from audotics.experiments.rehearsal import rehearse as rehearse
    from audotics.experiments.replay import logged_for as logged_for
    from audotics.experiments.replay import logged_queries as logged_queries
    from audotics.experiments.replay import replay_target as replay_target
    from audotics.experiments.report_pages import experiment_page as experiment_page
    from audotics.experiments.report_pages import experiment_panels as experiment_panels
    from audotics.experiments.sequential import always_valid_interval as always_valid_interval
    from audotics.experiments.sequential import always_valid_p_value as always_valid_p_value
    from audotics.experiments.sequential import mixture_scale as mixture_scale
    from audotics.experiments.store import ExperimentStore as ExperimentStore

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Arm": "arms",
        "Assignment": "assignment",
        "Definition": "definition",
        "Estimator": "off_policy",
        "Experiment": "definition",
        "ExperimentReport": "experiment_report",
        "ExperimentStore": "store",
        "Logged": "off_policy",
        "Metric": "definition",
        "MetricName": "definition",
        "PolicyValue": "off_policy",
        "Population": "rehearsal",
        "Role": "definition",
        "SupportError": "off_policy",
        "always_valid_interval": "sequential",
        "always_valid_p_value": "sequential",
        "analyse": "analysis",
        "experiment_page": "report_pages",
        "experiment_panels": "report_pages",
        "logged_for": "replay",
        "logged_queries": "replay",
        "mixture_scale": "sequential",
        "plan": "planning",
        "policy_value": "off_policy",
        "rate_difference": "rates",
        "rate_excess_p_value": "rates",
        "rehearse": "rehearsal",
        "replay_target": "replay",
        "report_from_journal": "logged",
        "team_draft": "interleaving",
    },
)
