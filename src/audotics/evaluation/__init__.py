"""Metrics, intervals, tests and reports."""
