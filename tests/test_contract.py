"""Schemathesis over the whole contract with the shipped configuration, against a real server."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_schemathesis_finds_nothing(make_app, serve):
    app = make_app(clock="", train_seconds=0, prompt_seconds=0, keys=("sd_schemathesis",))
    command = [
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", "contracts/schemathesis.toml"),
        *("run", "openapi.yaml", "--url", serve(app)),
        *("--generation-database", "none", "--seed", "1", "--max-examples", "10", "--no-color"),
    ]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
