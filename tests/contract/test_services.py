"""The servers that other tests lean on: they run, fail and come back as told."""

import time

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from contract.services import PostgreSQLServer, RedisServer, binary


def client(server: RedisServer, **options: object) -> redis.Redis:
    return redis.Redis.from_url(
        server.url, socket_timeout=0.05, socket_connect_timeout=0.05, retry=Retry(NoBackoff(), 0), **options
    )


def test_redis_keeps_nothing_between_tests_or_restarts(redis_server: RedisServer):
    assert client(redis_server).dbsize() == 0
    client(redis_server).set("a", 1)
    redis_server.stop()
    with pytest.raises(redis.ConnectionError):
        client(redis_server).ping()
    redis_server.start()
    assert client(redis_server).dbsize() == 0


def test_redis_answers_on_its_socket(redis_server: RedisServer):
    assert redis.Redis.from_url(redis_server.unix_url).ping()


def test_a_paused_redis_hangs_until_it_is_resumed(redis_server: RedisServer):
    redis_server.pause()
    started = time.monotonic()
    with pytest.raises(redis.TimeoutError):
        client(redis_server).ping()
    assert time.monotonic() - started < 1
    redis_server.resume()
    assert client(redis_server).ping()


def test_what_a_test_did_to_redis_is_mended(redis_process: RedisServer):
    client(redis_process).config_set("maxmemory", "5mb")
    redis_process.pause()
    redis_process.recover()
    redis_process.flush()
    assert client(redis_process).config_get("maxmemory")["maxmemory"] == "0"


def libpq(url: str) -> str:
    return url.replace("+psycopg", "")


def test_postgresql_is_durable_and_each_database_new(postgresql_server: PostgreSQLServer, postgresql: str):
    assert postgresql_server.execute("SHOW fsync") == [("on",)]
    with psycopg.connect(libpq(postgresql)) as connection:
        connection.execute("CREATE TABLE one (n int)")
        connection.execute("INSERT INTO one VALUES (7)")
    postgresql_server.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(libpq(postgresql))
    postgresql_server.start()
    with psycopg.connect(libpq(postgresql)) as connection:
        assert connection.execute("SELECT n FROM one").fetchall() == [(7,)]
    with psycopg.connect(libpq(postgresql_server.new_database())) as connection:
        assert connection.execute("SELECT to_regclass('one')").fetchall() == [(None,)]


def test_a_server_that_is_not_installed_fails_the_test_and_says_what_to_do():
    with pytest.raises(pytest.fail.Exception, match=r"no-such-server is not installed.*install-services"):
        binary("no-such-server")
