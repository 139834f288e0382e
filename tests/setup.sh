#!/usr/bin/env bash
# What the tests need of the system: MariaDB, Redis, and the library that opencv-python loads.
# Missing ones are installed where that is allowed; otherwise one line says how.
set -euo pipefail

PATH="$PATH:/usr/sbin:/usr/local/sbin" # mariadbd lies there
missing=()
if [ -z "${VERIFY_TEST_DATABASE_URL:-}" ] && ! command -v mariadbd >/dev/null; then missing+=(mariadb-server-core); fi
if [ -z "${VERIFY_TEST_BROKER_URL:-}" ] && ! command -v redis-server >/dev/null; then missing+=(redis-server); fi
if ! ldconfig -p | grep -q 'libGL\.so\.1'; then missing+=(libgl1 libglib2.0-0); fi
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
if ! command -v apt-get >/dev/null || ! "${as_root[@]}" true 2>/dev/null; then
  echo "The tests need: ${missing[*]}. Install them with: sudo apt-get install -y ${missing[*]}" >&2
  exit 1
fi
echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
