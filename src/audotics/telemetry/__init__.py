"""Progress of long work, and what each of its stages cost."""

from audotics.telemetry.progress import Progress, Stage, StageRecord, progress_on_stderr

__all__ = ["Progress", "Stage", "StageRecord", "progress_on_stderr"]
