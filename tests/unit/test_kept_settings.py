"""A command in a shell beside `make run` finds the servers that run; the environment wins."""

from __future__ import annotations

import os

import pytest

from backend import config
from launcher import environment
from tests.support import product


@pytest.fixture
def kept(tmp_path):
    (tmp_path / "var").mkdir()
    environment.write(
        tmp_path / "var" / "env",
        {"DATABASE_URL": "postgresql://app:p$x#y@127.0.0.1:1/kept", "PORT": "8123"},
    )
    (tmp_path / ".env").write_text("# mine\nPORT=8200\nLOG_LEVEL=\n", encoding="utf-8")
    with product.environ({}):
        for name in ("DATABASE_URL", "PORT", "LOG_LEVEL", "JIAOQING_VAR"):
            os.environ.pop(name, None)
        yield tmp_path


def test_the_files_of_make_run_are_taken(kept):
    config.read_kept_files(kept)
    assert os.environ["DATABASE_URL"] == "postgresql://app:p$x#y@127.0.0.1:1/kept"
    assert os.environ["PORT"] == "8200", ".env is asked before var/env"
    assert "LOG_LEVEL" not in os.environ


def test_the_folder_of_make_run_may_be_another(kept):
    (kept / "elsewhere").mkdir()
    environment.write(kept / "elsewhere" / "env", {"DATABASE_URL": "postgresql://elsewhere"})
    os.environ["JIAOQING_VAR"] = "elsewhere"
    config.read_kept_files(kept)
    assert os.environ["DATABASE_URL"] == "postgresql://elsewhere"
    assert config.var_folder(kept) == kept / "elsewhere"
    os.environ["JIAOQING_VAR"] = str(kept / "var")
    assert config.var_folder(kept / "other") == kept / "var"


def test_a_given_database_reads_no_file(kept):
    os.environ["DATABASE_URL"] = "postgresql://given"
    config.read_kept_files(kept)
    assert os.environ["DATABASE_URL"] == "postgresql://given"
    assert "PORT" not in os.environ


def test_no_files_change_nothing(tmp_path):
    with product.environ({}):
        os.environ.pop("DATABASE_URL", None)
        before = dict(os.environ)
        config.read_kept_files(tmp_path)
        assert dict(os.environ) == before
