"""What the launcher reads and writes: .env, var/env, the Procfile."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from launcher import environment
from launcher.procfile import read_procfile
from launcher.run import _empty_metrics_folder
from launcher.say import Stop


def test_env_lines(tmp_path: Path):
    file = tmp_path / ".env"
    file.write_text("# 注释\n\nexport A=1\nB='two words' # why\nC=\nD=a=b#c\n", encoding="utf-8")
    assert environment.read(file) == {"A": "1", "B": "two words", "C": "", "D": "a=b#c"}


@pytest.mark.parametrize("line", ["A B=c", "A=two words", "1A=x", "just words", "A='open"])
def test_a_line_that_is_no_setting_is_named(tmp_path: Path, line: str):
    file = tmp_path / ".env"
    file.write_text(f"OK=1\n{line}\n", encoding="utf-8")
    with pytest.raises(Stop, match=r"\.env:2 "):
        environment.read(file)


def test_the_environment_overrules_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / ".env").write_text("PORT=9000\nREDIS_URL=redis://h/0\nDATABASE_URL=\n")
    monkeypatch.setenv("PORT", "9001")
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    given = environment.given(tmp_path)
    assert (given["PORT"], given["REDIS_URL"]) == ("9001", "redis://h/0")
    assert "DATABASE_URL" not in given, "an empty value counts as not set"


def test_made_keys_stay_and_addresses_do_not(tmp_path: Path):
    file = tmp_path / "env"
    first = environment.kept(file)
    assert len(base64.b64decode(first["DATA_KEY"])) == 32
    assert len(first["SECRET_KEY"]) >= 32
    secret = "x' $(touch y) \"z"
    environment.write(
        file, {**first, "SECRET_KEY": secret, "DATABASE_URL": "old", "PUBLIC_BASE_URL": "old"}
    )
    assert file.stat().st_mode & 0o777 == 0o600
    assert environment.kept(file) == {**first, "SECRET_KEY": secret}
    product = environment.for_product(first)
    assert set(product) == {"SECRET_KEY", "DATA_KEY"}, "no process gets the superuser's password"


def test_procfile(tmp_path: Path):
    file = tmp_path / "Procfile"
    file.write_text("# comment\n\nweb: run --port ${PORT:-1}\nworker-a: x: y\n")
    assert read_procfile(file) == {"web": "run --port ${PORT:-1}", "worker-a": "x: y"}
    file.write_text("no colon here\n")
    with pytest.raises(Stop, match="no colon here"):
        read_procfile(file)


def test_the_metrics_folder_is_made_and_emptied_of_numbers_only(tmp_path: Path):
    folder = tmp_path / "deep" / "metrics"
    given = {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    assert _empty_metrics_folder(given) == folder and folder.is_dir()
    for name in ("counter_1.db", "gauge_livesum_2.db", "mine.txt"):
        (folder / name).write_text("old")
    assert _empty_metrics_folder(given) == folder
    assert [file.name for file in folder.iterdir()] == ["mine.txt"]
