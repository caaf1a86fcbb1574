#!/usr/bin/env bash
# The same label maps by every label-to-image system, after equal small training at
# 64 px: on the phantom, or on a folder of BraTS cases. Two cores, about an hour.
# Usage: bash launch/gallery.sh [folder of the runs [folder of BraTS cases]]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
make_venv ""
cd "$root"
runs="${1:-runs/gallery}"
data=(${2:+"--config.data.source_dir=$2"})
systems="spade borde sean pix2pix shin pix2pixhd cyclegan samr platscher platscher-spade"
for system in $systems; do
  "$venv/bin/python" -m jaxsyn.main --config="configs/compare.py:system=$system" \
    --workdir="$runs/$system" "${data[@]}"
done
exec "$venv/bin/python" -m jaxsyn.main --config=configs/gallery.py \
  --config.generators="$runs" --workdir="$runs/picture" "${data[@]}"
