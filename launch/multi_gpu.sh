#!/usr/bin/env bash
# A training on several GPUs of one machine. One process uses all GPUs it sees, which is
# what this starts and, mostly, all it takes; with -n N there are N processes with a GPU
# each, or N on the CPU where JAX_PLATFORMS=cpu.
# Usage: bash launch/multi_gpu.sh [-n N] CONFIG WORKDIR [--config.key=value ...]
# CUDA_VISIBLE_DEVICES=0,2 limits which GPUs are used; PYTHON names the interpreter.
set -uo pipefail

die() {
  echo "jaxsyn: $1" >&2
  echo "  hint: bash launch/multi_gpu.sh [-n N] CONFIG WORKDIR [--config.key=value ...]" >&2
  exit 2
}

count=1
if [[ ${1:-} == -n ]]; then
  count=${2:-}
  [[ $count =~ ^[1-9][0-9]*$ ]] || die "-n wants a number of processes, got '$count'."
  shift 2
fi
[[ ${1:-} != -* ]] || die "unknown option $1."
(($# >= 2)) || die "a configuration and a folder for the run are needed."
python=${PYTHON:-$(command -v python || command -v python3)}
command=("$python" -m jaxsyn.main --config="$1" --workdir="$2" "${@:3}")
if ((count == 1)); then
  echo "One process, with all GPUs that it sees." >&2
  exec "${command[@]}"
fi

# Process i has the i-th of the visible GPUs.
if [[ ${JAX_PLATFORMS:-} != cpu ]]; then
  gpus=${CUDA_VISIBLE_DEVICES-$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null)}
  read -ra gpus <<<"$(tr ',\n' '  ' <<<"$gpus")"
  ((${#gpus[@]} >= count)) ||
    die "$count processes want a GPU each; ${#gpus[@]} are visible (JAX_PLATFORMS=cpu needs none)."
fi

# Any port that is free now.
port=$("$python" -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
export JAX_COORDINATOR_ADDRESS=127.0.0.1:$port JAX_NUM_PROCESSES=$count

pids=()
for ((i = 0; i < count; i++)); do
  JAX_PROCESS_ID=$i JAX_LOCAL_DEVICE_IDS=$i "${command[@]}" &
  pids+=($!)
done
# A signal goes to all; they save together and end with code 75.
signalled=
for name in INT TERM USR1; do
  # shellcheck disable=SC2064 # $name is this one; $(jobs) is asked when it comes.
  trap "signalled=1; kill -s $name \$(jobs -rp) 2>/dev/null" "$name"
done

# The code of the first that fails. The others notice by themselves that it is gone,
# unless they are still starting.
code=0
while true; do
  wait -n
  one=$?
  if [[ -n $signalled ]]; then
    signalled=
    continue
  fi
  ((one != 127)) || break # All have ended.
  if ((one != 0 && code == 0)); then
    code=$one
    (sleep 45 && kill -s KILL "${pids[@]}") >/dev/null 2>&1 &
    last_resort=$!
    disown
  fi
done
if [[ -n ${last_resort:-} ]]; then kill "$last_resort" 2>/dev/null; fi
exit "$code"
