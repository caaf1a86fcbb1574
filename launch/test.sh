#!/usr/bin/env bash
# Installs jaxsyn with what its tests need, runs the main job once on a tiny phantom,
# then the tests. Usage: bash launch/test.sh [arguments of pytest]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
make_venv test,prep,beam
cd "$root"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$venv/bin/python" -m jaxsyn.main --config=configs/quickstart.py:runlocal \
  --workdir="$scratch/run"
"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
# A worker a core; what a file's tests share stays with one worker.
"$venv/bin/python" -m pytest -n auto --dist loadfile "$@"
