"""Writes the results: one JSON file for each benchmark, with the facts about the machine."""

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks import peers

RESULTS: Final = Path(__file__).parent / "results"
_LIBRARIES: Final = ("flask-cache-proxy", "hiredis", "msgpack", "msgspec", "uvloop")


def write(name: str, settings: dict[str, Any], rows: list[dict[str, Any]], **more: object) -> Path:
    """Write `results/<name>.json`, `more` behind the rows; returns its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    document = {"benchmark": name, **_circumstances(), "settings": settings, "rows": rows, **more}
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def _circumstances() -> dict[str, Any]:
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(Path(__file__).parent),
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "system": f"{platform.system()} {platform.release()}"},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in _LIBRARIES},
            **peers.versions(),
        },
    }


def commit(checkout: Path) -> str:
    """The commit that is checked out there, `+` where the tree differs; `unknown` outside a checkout."""
    git = ("git", "-C", str(checkout), "describe", "--always", "--abbrev=12", "--dirty=+")
    try:
        return subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
