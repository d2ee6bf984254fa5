"""Where things are in a checkout."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
VAR = (ROOT / (os.environ.get("JIAOQING_VAR") or "var")).resolve()
LOCK = ROOT / "requirements-dev.lock"
PROCFILE = ROOT / "Procfile"
ADMIN_WEB = ROOT / "admin" / "web"
MINIPROGRAM = ROOT / "miniprogram-stub"
