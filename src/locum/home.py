"""Where Locum keeps what belongs to the user rather than to one run: stored models, and what was said once."""

import os
from pathlib import Path

from platformdirs import user_data_path


def home_folder() -> Path:
    """$LOCUM_HOME, else the platform's data folder."""
    override = os.environ.get("LOCUM_HOME")
    return Path(override) if override else user_data_path("locum")
