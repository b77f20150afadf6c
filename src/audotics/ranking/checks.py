"""What is checked about lists before a ranker reads them."""

from __future__ import annotations

from audotics.errors import BadInputError
from audotics.ranking.protocol import RankingExamples, RankingInputs


def check_feature_names(inputs: RankingInputs, learned: tuple[str, ...]) -> None:
    """Refuse inputs whose features are not those of training, in the same order.

    Raises:
        BadInputError: Names differ; the message names the first difference.
    """
    if inputs.feature_names == learned:
        return
    missing = [name for name in learned if name not in inputs.feature_names]
    extra = [name for name in inputs.feature_names if name not in learned]
    difference = f"missing {missing[:3]}, unexpected {extra[:3]}" if missing or extra else "order differs"
    raise BadInputError(
        f"the ranking features are not those of training: {difference}",
        where="feature_names",
        remedy="Build the inputs with the feature pipeline of the same version",
    )


def check_positives(examples: RankingExamples, part: str) -> None:
    """Refuse lists from which nothing about playing can be learned.

    Raises:
        BadInputError: No list holds a played track.
    """
    if not (examples.labels[..., 0] > 0).any():
        raise BadInputError(
            f"no {part} list holds a played track among its candidates",
            where=f"{part} lists",
            remedy="Use more candidates per list or more held-out interactions",
        )
