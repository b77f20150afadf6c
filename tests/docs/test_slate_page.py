"""The examples of docs/slate.md run, and its file names every rule."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np

from audotics.data.corpus import build_corpus
from audotics.data.queries import QueryBatch
from audotics.domain import Slate
from audotics.ranking.mean import MeanRanker
from audotics.ranking.protocol import RankingExamples
from audotics.recommender.branch import Branch
from audotics.recommender.candidates import Allowed, CandidateGenerator
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.recommender.recommender import Recommender
from audotics.retrieval.names import new_retriever
from audotics.slate import SlateConfig, read_rules
from audotics.slate.config import Withholding
from contract.planted import no_users, planted_events, planted_tracks

PAGE = (Path(__file__).parents[2] / "docs" / "slate.md").read_text(encoding="utf-8")


def example(language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return text


def planted_recommender() -> Recommender:
    corpus = build_corpus(planted_events(), planted_tracks(), no_users())
    generator = CandidateGenerator([new_retriever("item-knn", {}).fit(corpus)], 20)
    everyone = QueryBatch.of_listeners(corpus.interactions, np.arange(corpus.n_users, dtype=np.int32))
    assembler = FeatureAssembler.fit(corpus, ("item-knn",))
    inputs = assembler.assemble(everyone, generator.generate(everyone, Allowed.everything_unheard(90)))
    examples = RankingExamples(inputs, np.zeros((*inputs.track_index.shape, 1), np.float32), ("play",))
    return Recommender(
        users=corpus.users,
        tracks=corpus.tracks,
        histories=corpus.interactions,
        track_table=corpus.track_table,
        unheard=Branch(generator, assembler.scaled(inputs), MeanRanker().fit(examples, examples)),
    )


def test_the_file_names_every_rule_and_is_read(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(example("toml"), encoding="utf-8")
    assert set(tomllib.loads(example("toml"))) == set(SlateConfig.model_fields)
    rules = read_rules(file)
    assert (rules.artist_cap, rules.explore_places) == (2, (5, 10))
    named = {name for entry in rules.withhold for name in entry.model_fields_set}
    assert named == set(Withholding.model_fields)


def test_the_page_gives_the_defaults_as_they_are() -> None:
    told = dict(re.findall(r"Default: (.+)\.\n(\w+) =", example("toml")))
    defaults = {name: tomllib.loads(f"value = {value}")["value"] for value, name in told.items()}
    assert defaults
    for name, value in defaults.items():
        assert SlateConfig.model_fields[name].default == value, name


def test_the_queries_are_answered(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(example("toml"), encoding="utf-8")
    names = {"recommender": planted_recommender(), "rules": read_rules(file)}
    exec(compile(example("python"), "slate.md", "exec"), names)  # noqa: S102  the page's own example
    slates = names["slates"]
    assert isinstance(slates, list)
    assert [len(slate.track_ids) for slate in slates] == [10, 20, 10]
    assert all(isinstance(slate, Slate) for slate in slates)
