# Sourced by the scripts beside it: finds Python and makes the virtual environment.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="${JAXSYN_VENV:-$root/.venv}"
needed_mb=4000

die() {
  echo "jaxsyn: $1" >&2
  echo "  hint: $2" >&2
  exit "${3:-2}"
}

# Prints the first Python that is new enough, or nothing.
find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
}

# Makes $venv, once, with this folder installed in it; $1 names extras: "" or "test".
make_venv() {
  local python free extras="$1" log="$venv/install.log" wanted
  python=$(find_python)
  [ -n "$python" ] ||
    die "no Python of 3.11 or newer was found" \
      "apt-get install python3 python3-venv, or set PYTHON to one you have."
  if [ ! -x "$venv/bin/python" ]; then
    free=$(df -Pm "$(dirname "$venv")" | awk 'NR==2 {print $4}')
    [ "$free" -ge "$needed_mb" ] ||
      die "only ${free} MB are free beside $venv; ${needed_mb} MB are needed" \
        "free space, or set JAXSYN_VENV to a folder elsewhere." 5
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
      die "$python lacks the venv module" \
        "apt-get install python3-venv (or python3.11-venv and the like)."
    echo "Making a virtual environment in $venv"
    "$python" -m venv "$venv" ||
      die "the virtual environment could not be made" "see the lines above."
  fi
  wanted="$("$python" --version) [$extras] $(cksum <"$root/pyproject.toml") $root"
  if [ "$(cat "$venv/installed" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing jaxsyn and what it needs (one to three minutes; log in $log)"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
      --editable "$root${extras:+[$extras]}" >"$log" 2>&1 ||
      die "the installation failed: $(grep -iE 'error|no space' "$log" | tail -n 1)" \
        "the whole log is in $log."
    echo "$wanted" >"$venv/installed"
  fi
}
