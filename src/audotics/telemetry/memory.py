"""Peak resident memory of this process, for one stretch of time where the system can tell."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_KIB_PER_MIB = 1024.0


def restart_peak() -> bool:
    """Forget the peak so far; False where the system cannot (then peaks count from the process's start)."""
    try:
        # Writing 5 resets VmHWM, the "high water mark" of the resident set (Linux, proc(5)).
        _CLEAR_REFS.write_text("5")
    except OSError:
        return False
    return True


def peak_memory_mib() -> float:
    """Highest resident memory in MiB since `restart_peak`, or since the process started."""
    try:
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / _KIB_PER_MIB
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes here, every other system kibibytes.
    return peak / _KIB_PER_MIB / (_KIB_PER_MIB if sys.platform == "darwin" else 1.0)
