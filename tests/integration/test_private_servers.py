"""The servers that the tests start are real, separate, and survive a crash."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
import sqlalchemy as sa

from support.servers import MariaDb, Redis, ServerMissing, find_program


def test_a_database_of_ones_own_speaks_utf8mb4(mariadb_database_url: str) -> None:
    engine = sa.create_engine(mariadb_database_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT @@character_set_database")) == "utf8mb4"
        assert connection.scalar(sa.text("SELECT '확인 🙂'")) == "확인 🙂"


def test_what_is_committed_survives_a_kill_of_mariadb(tmp_path: Path) -> None:
    server = MariaDb(tmp_path / "db")
    server.start()
    engine = sa.create_engine(server.url, poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE DATABASE kept"))
            connection.execute(sa.text("CREATE TABLE kept.t (n INT)"))
            connection.execute(sa.text("INSERT INTO kept.t VALUES (7)"))
        server.kill()
        assert not server.answers()
        server.restart()
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT n FROM kept.t")) == 7
    finally:
        server.kill()


def test_a_durable_redis_keeps_its_lists_over_a_kill(tmp_path: Path) -> None:
    server = Redis(tmp_path / "redis", durable=True)
    server.start()
    try:
        with redis.Redis.from_url(server.url) as client:
            client.rpush("verify", "job")
            server.kill()
            server.restart()
            assert client.llen("verify") == 1
    finally:
        server.kill()


def test_a_test_starts_with_an_empty_redis(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0


def test_a_missing_server_is_named_with_the_line_that_installs_it() -> None:
    with pytest.raises(ServerMissing, match=r"no-such-db is not installed; install it with: apt-get"):
        find_program("no-such-db")
