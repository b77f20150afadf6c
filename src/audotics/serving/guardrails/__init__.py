"""Guardrails: a version that has just begun to serve is watched, and dropped where it is worse.

`Guardrails` wires the parts: what listeners were shown and did (`shown`), what each version did lately
(`record`), the comparison with what the old version would have answered (`shadow`, `shadowing`), the tests
(`probation`) and the reports of versions that were dropped (`reports`).
"""

from audotics.serving.guardrails.guard import Guardrails
from audotics.serving.guardrails.probation import Breach, Limits, Probation

__all__ = ["Breach", "Guardrails", "Limits", "Probation"]
