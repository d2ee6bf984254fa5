"""What gunicorn and the flask command load."""

from pathlib import Path

from backend import config
from backend.app import create_app

config.read_kept_files(Path(__file__).resolve().parent)
app = create_app()
