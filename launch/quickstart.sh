#!/usr/bin/env bash
# From nothing to synthetic brains: installs jaxsyn, makes a small phantom data set,
# trains BORDE on it at 64 px and says where its pictures are. Two cores, a few minutes.
# Usage: bash launch/quickstart.sh [folder of the run]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
make_venv ""
cd "$root"
exec "$venv/bin/python" -m jaxsyn.main --config=configs/quickstart.py \
  --workdir="${1:-runs/quickstart}"
