"""Off-policy estimates where the truth is known, beside obp's on the same logs (measure_experiments.py)."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audotics.experiments.off_policy import Estimator, Logged, SupportError, policy_value
from audotics.simulation.catalogue import make_catalogue
from audotics.simulation.config import SimulationConfig
from audotics.simulation.listeners import make_listeners
from audotics.simulation.reactions import OUTCOMES, chances, true_affinity

N_LISTENERS, N_TRACKS, K = 3000, 10, 3
NAMES = {Estimator.IPS: "IPW", Estimator.SNIPS: "SNIPW", Estimator.DM: "DM", Estimator.DR: "DR"}


@dataclass(frozen=True, slots=True)
class World:
    """Simulated listeners who may be shown one of ten tracks at each of three places.

    Args:
        reward: ``[n_listeners, N_TRACKS]`` true chance that a track is finished.
        guess: ``[n_listeners, N_TRACKS]`` decile of what one might guess of the track's fit.
        logging: ``[n_listeners, K, N_TRACKS]`` chances of the policy that serves.
        targets: Name -> the same of a policy that is asked about.
    """

    reward: np.ndarray
    guess: np.ndarray
    logging: np.ndarray
    targets: dict[str, np.ndarray]

    def truth(self, target: np.ndarray) -> float:
        """What a policy earns per answer."""
        return float(np.einsum("lkt,lt->l", target, self.reward).mean())


def make_world(seed: int) -> World:
    """The simulator's listeners and tracks; the logging policy explores, the targets trust their scores."""
    config = SimulationConfig(n_users=N_LISTENERS, n_tracks=300, n_days=60, seed=seed)
    listeners, catalogue = make_listeners(config), make_catalogue(config)
    rng = config.generator("policies")
    who = np.repeat(np.arange(N_LISTENERS), N_TRACKS)
    track = rng.integers(0, 300, len(who))
    affinity = true_affinity(
        listeners.taste_before[who], listeners.style[who], catalogue.genre[track], catalogue.style[track]
    )
    table = chances(affinity, np.zeros(len(who), np.bool_))
    reward = table[:, OUTCOMES.index("complete")].reshape(N_LISTENERS, N_TRACKS).astype(float)
    suits = affinity.reshape(N_LISTENERS, N_TRACKS).astype(float)

    def policy(noise: float, sharpness: float, uniform: float) -> np.ndarray:
        scores = suits + noise * rng.normal(size=suits.shape)
        scores = np.stack([scores - 0.1 * place * suits for place in range(K)], axis=1)
        sharp = np.exp(sharpness * (scores - scores.max(axis=2, keepdims=True)))
        return (1 - uniform) * sharp / sharp.sum(axis=2, keepdims=True) + uniform / N_TRACKS

    logging = policy(0.4, 4.0, 0.2)
    guess = suits + 0.15 * rng.normal(size=suits.shape)
    deciles = np.searchsorted(np.quantile(guess, np.arange(0.1, 1.0, 0.1)), guess)
    return World(reward, deciles, logging, {"near": policy(0.3, 4.0, 0.1), "far": policy(0.05, 25.0, 0.0)})


@dataclass(frozen=True, slots=True)
class Log:
    """Answers of the logging policy ``[n_answers]`` and ``[n_answers, K]``."""

    listener: np.ndarray
    action: np.ndarray
    reward: np.ndarray


def draw_log(world: World, n_answers: int, rng: np.random.Generator) -> Log:
    """What the logging policy showed and earned."""
    listener = rng.integers(0, N_LISTENERS, n_answers)
    cumulative = world.logging[listener].cumsum(axis=2)
    action = np.minimum((rng.random((n_answers, K))[:, :, None] > cumulative).sum(axis=2), N_TRACKS - 1)
    chance = world.reward[listener[:, None], action]
    return Log(listener, action, (rng.random((n_answers, K)) < chance).astype(float))


def model_of(world: World, log: Log) -> np.ndarray:
    """A plain model: mean logged reward of each decile of the guess ``[n_listeners, N_TRACKS]``."""
    decile = world.guess[log.listener[:, None], log.action].ravel()
    n = np.bincount(decile, minlength=10) + 20.0
    total = np.bincount(decile, log.reward.ravel(), 10) + 20.0 * log.reward.mean()
    return (total / n)[world.guess]


def logged_of(world: World, log: Log, target: np.ndarray) -> Logged:
    """The log as the estimators read it."""
    n = len(log.listener)
    place = np.tile(np.arange(K), n)
    rows, action = np.repeat(log.listener, K), log.action.ravel()
    model = model_of(world, log)
    return Logged(
        answer=np.repeat(np.arange(n), K),
        place=place,
        listener=np.unique(rows, return_inverse=True)[1],
        reward=log.reward.ravel(),
        propensity=world.logging[rows, place, action],
        target=target[rows, place, action],
        predicted=model[rows, action],
        predicted_target=(target[rows, place] * model[rows]).sum(axis=1),
    )


def measure(
    world: World, target: np.ndarray, n_answers: int, n_logs: int, obp: dict[str, Any] | None, seed: int
) -> tuple[list[str], float]:
    """A table row per estimator, and the largest difference to obp (NaN without it)."""
    truth = world.truth(target)
    found: dict[Estimator, list[tuple[float, bool, float]]] = {one: [] for one in Estimator}
    peers: dict[Estimator, list[float]] = {one: [] for one in Estimator}
    refused: dict[Estimator, int] = dict.fromkeys(Estimator, 0)
    for number in range(n_logs):
        log = draw_log(world, n_answers, np.random.default_rng([seed, number]))
        logged = logged_of(world, log, target)
        for estimator in Estimator:
            try:
                one = policy_value(logged, estimator)
            except SupportError:
                refused[estimator] += 1
                one = policy_value(logged, estimator, least_effective=0.0, most_unseen=1.0)
            found[estimator].append((one.value, one.low <= truth <= one.high, one.error))
            if obp is not None:
                peers[estimator].append(peer_value(obp, estimator, world, log, target))
    lines, gap = [], float("nan")
    for estimator, values in found.items():
        value, covered, _ = np.array(values, float).T
        peer = np.array(peers[estimator])
        beside = "–"
        if len(peer):
            gap = np.nanmax([gap, np.abs(peer - value).max()])
            beside = f"{peer.mean() - truth:+.4f}, {peer.std():.4f}"
        lines.append(
            f"{estimator.value} | {value.mean() - truth:+.4f} | {value.std():.4f} |"
            f" {np.sqrt(((value - truth) ** 2).mean()):.4f} | {covered.mean():.1%} | {beside} |"
            f" {refused[estimator] / n_logs:.0%} |"
        )
    return lines, gap


def peer_value(
    obp: dict[str, Any], estimator: Estimator, world: World, log: Log, target: np.ndarray
) -> float:
    """Obp's estimate of the same: the sum over places, each as a problem of its own."""
    if estimator is Estimator.IPS:
        rows, place = np.repeat(log.listener, K), np.tile(np.arange(K), len(log.listener))
        action = log.action.ravel()
        return float(
            obp["slate"]
            .SlateIndependentIPS(len_list=K)
            .estimate_policy_value(
                slate_id=np.repeat(np.arange(len(log.listener)), K),
                reward=log.reward.ravel(),
                position=place,
                pscore_item_position=world.logging[rows, place, action],
                evaluation_policy_pscore_item_position=target[rows, place, action],
            )
        )
    total = 0.0
    model = model_of(world, log)
    n = len(log.listener)
    for place in range(K):
        action = log.action[:, place]
        given = {
            "reward": log.reward[:, place],
            "action": action,
            "pscore": world.logging[log.listener, place, action],
            "action_dist": target[log.listener, place][:, :, None],
            "position": np.zeros(n, int),
            "estimated_rewards_by_reg_model": model[log.listener][:, :, None],
        }
        if estimator is Estimator.DM:
            value = obp["single"].DirectMethod().estimate_policy_value(**given)
        elif estimator is Estimator.DR:
            value = obp["single"].DoublyRobust().estimate_policy_value(**given)
        else:
            value = obp["single"].SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**given)
        total += float(value)
    return total


def load_obp(folder: Path | None) -> dict[str, Any] | None:
    """Obp's estimators from a folder (``pip install --target``); None where they cannot be had.

    Its packages import plotting and neural parts that the estimators do not need, so the packages' own
    first modules are passed over.
    """
    if folder is None or not (folder / "obp").is_dir():
        return None
    for name, path in (("obp", "obp"), ("obp.ope", "obp/ope")):
        shell = types.ModuleType(name)
        shell.__path__ = [str(folder / path)]
        sys.modules[name] = shell
    try:
        from importlib import import_module

        return {
            "single": import_module("obp.ope.estimators"),
            "slate": import_module("obp.ope.estimators_slate"),
        }
    except ImportError as error:
        print(f"obp is left out: {error}")
        return None
