import json
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audotics.errors import BadInputError, DamagedError
from audotics.registry.aliases import Aliases


def accept(version: str) -> None:
    pass


def version(number: int) -> str:
    return f"20261123T101500Z-{number:04x}"


@pytest.fixture
def three(publish) -> list[str]:
    return [publish() for _ in range(3)]


def history(registry) -> list[dict[str, str]]:
    text = (registry.models_dir / "aliases" / "history.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_an_alias_points_to_a_version(registry, three):
    assert registry.alias("champion") is None
    assert registry.set_alias("champion", three[0]) == three[0]
    assert registry.set_alias("challenger", "latest") == three[2]
    assert registry.aliases() == {"champion": three[0], "challenger": three[2]}
    assert registry.resolve("champion") == three[0]
    assert registry.set_alias("champion", "challenger") == three[2], "an alias may name another"
    assert (registry.models_dir / "aliases" / "champion").read_text() == three[2] + "\n"


def test_unknown_and_damaged_versions_are_refused_and_nothing_moves(registry, three):
    registry.set_alias("champion", three[0])
    with pytest.raises(BadInputError, match="there is no version"):
        registry.set_alias("champion", "20200101T000000Z-0000")
    (registry.folder(three[1]) / "recommender.json").write_bytes(b"[]")
    with pytest.raises(DamagedError, match=r"recommender\.json"):
        registry.set_alias("champion", three[1])
    assert registry.alias("champion") == three[0]
    assert [entry["version"] for entry in history(registry)] == [three[0]]


@pytest.mark.parametrize("name", ["latest", "../x", ".x", "", "20261123T101500Z-3f2a"])
def test_bad_alias_names_are_refused(registry, three, name):
    with pytest.raises(BadInputError):
        registry.set_alias(name, three[0])


def test_rolling_back_goes_one_move_further_each_time(registry, three):
    for each in three:
        registry.set_alias("champion", each)
    assert registry.rollback("champion") == three[1]
    assert registry.rollback("champion") == three[0]
    with pytest.raises(BadInputError, match="no earlier version"):
        registry.rollback("champion")
    assert registry.alias("champion") == three[0]


def test_promoting_after_a_rollback_starts_from_there(registry, three):
    for each in three[:2]:
        registry.set_alias("champion", each)
    registry.rollback("champion")
    registry.set_alias("champion", three[2])
    assert registry.rollback("champion") == three[0], "the version that was rolled back is not returned to"


def test_setting_the_same_version_again_is_no_move(registry, three):
    registry.set_alias("champion", three[0])
    registry.set_alias("champion", three[1])
    registry.set_alias("champion", three[1])
    assert len(history(registry)) == 2
    assert registry.rollback("champion") == three[0]


def test_a_damaged_earlier_version_is_not_rolled_back_to(registry, three):
    registry.set_alias("champion", three[0])
    registry.set_alias("champion", three[1])
    (registry.folder(three[0]) / "recommender.json").unlink()
    with pytest.raises(DamagedError):
        registry.rollback("champion")
    assert registry.alias("champion") == three[1]


def test_aliases_have_histories_of_their_own(registry, three):
    registry.set_alias("champion", three[0])
    registry.set_alias("challenger", three[1])
    registry.set_alias("champion", three[2])
    with pytest.raises(BadInputError):
        registry.rollback("challenger")
    assert registry.rollback("champion") == three[0]


def test_there_must_be_an_alias_to_roll_back(registry, three):
    with pytest.raises(BadInputError, match="there is no alias 'champion'"):
        registry.rollback("champion")


@pytest.mark.parametrize("content", [b"", b"../../etc\n", b"champion\n", b"\xff\xfe"])
def test_an_alias_that_holds_no_version_is_damaged(registry, three, content):
    registry.set_alias("champion", three[0])
    (registry.models_dir / "aliases" / "champion").write_bytes(content)
    with pytest.raises(DamagedError, match="the alias"):
        registry.resolve("champion")


def test_a_dangling_alias_is_said_to_be_one(registry, three):
    registry.set_alias("champion", three[0])
    registry.folder(three[0]).rename(registry.models_dir / "gone")
    with pytest.raises(BadInputError, match="there is no version 'champion'"):
        registry.verify("champion")


def test_a_crash_between_history_and_alias_takes_no_move_away(tmp_path):
    aliases = Aliases(tmp_path)
    aliases.set("champion", version(1))
    aliases.set("champion", version(2))
    with (tmp_path / "history.jsonl").open("a") as file:
        entry = {"at": "", "alias": "champion", "action": "set", "version": version(3)}
        file.write(json.dumps(entry) + "\n")  # the alias itself never moved
    assert aliases.rollback("champion", accept) == version(1)


def test_a_line_cut_short_by_a_crash_is_passed_over(tmp_path):
    aliases = Aliases(tmp_path)
    aliases.set("champion", version(1))
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"at": "2026-11-23T10:15:00", "ali')
    aliases.set("champion", version(2))
    aliases.set("champion", version(3))
    assert aliases.rollback("champion", accept) == version(2)
    assert aliases.rollback("champion", accept) == version(1)


@given(st.lists(st.one_of(st.integers(0, 4), st.none()), max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_moves_behave_like_a_stack(tmp_path_factory, moves):
    aliases = Aliases(tmp_path_factory.mktemp("aliases"))
    stack: list[str] = []
    for move in moves:
        if move is not None:
            aliases.set("champion", version(move))
            if stack[-1:] != [version(move)]:
                stack.append(version(move))
        elif len(stack) > 1:
            stack.pop()
            assert aliases.rollback("champion", accept) == stack[-1]
        else:
            with pytest.raises(BadInputError):
                aliases.rollback("champion", accept)
        assert aliases.get("champion") == (stack[-1] if stack else None)


def test_readers_always_see_a_whole_alias(tmp_path):
    aliases = Aliases(tmp_path)
    aliases.set("champion", version(0))
    seen: set[str | None] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(aliases.get("champion"))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 40):
        aliases.set("champion", version(number))
    done.set()
    reader.join()
    assert len(seen) > 1
    assert seen <= {version(number) for number in range(40)}


def test_of_several_that_drop_a_version_one_rolls_back(registry, three):
    for each in three:
        registry.set_alias("champion", each)
    assert registry.rollback("champion", away_from=three[2]) == three[1]
    assert registry.rollback("champion", away_from=three[2]) == three[1], "it is away from there already"
    assert [entry["action"] for entry in history(registry)] == ["set"] * 3 + ["rollback"]


def test_setting_an_alias_to_where_it_points_can_be_noticed(registry, three):
    assert registry.set_at("champion") == 0
    registry.set_alias("champion", three[0])
    before = registry.set_at("champion")
    assert before > 0
    assert registry.set_at("champion") == before
    registry.set_alias("champion", three[0])
    assert registry.set_at("champion") > before
    assert len(history(registry)) == 1, "it did not move"


def test_moves_tell_where_an_alias_has_been(registry, three):
    first, second, _ = three
    assert registry.moves("champion") == []
    registry.set_alias("champion", first)
    registry.set_alias("champion", second)
    registry.set_alias("challenger", second)
    registry.rollback("champion")
    assert registry.moves("champion") == [("set", first), ("set", second), ("rollback", first)]
