#!/usr/bin/env bash
# What the tests need of the system: MariaDB, Redis, the library that opencv-python loads, and for those of the
# console Chromium with Korean letters, without which they are skipped. Missing ones are installed where that is
# allowed; otherwise one line says how.
set -euo pipefail

PATH="$PATH:/usr/sbin:/usr/local/sbin" # mariadbd lies there
missing=()
if [ -z "${VERIFY_TEST_DATABASE_URL:-}" ] && ! command -v mariadbd >/dev/null; then missing+=(mariadb-server-core); fi
if [ -z "${VERIFY_TEST_BROKER_URL:-}" ] && ! command -v redis-server >/dev/null; then missing+=(redis-server); fi
if ! ldconfig -p | grep -q 'libGL\.so\.1'; then missing+=(libgl1 libglib2.0-0); fi
browser=()
# Those that tests/support/browser.py looks for.
if ! command -v chromium chromium-browser google-chrome google-chrome-stable >/dev/null; then
  browser+=(chromium fonts-noto-cjk)
fi
[ ${#missing[@]} -gt 0 ] || [ ${#browser[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
may() { command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; }
install() {
  echo "Installing $*"
  "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

if [ ${#missing[@]} -gt 0 ]; then
  if ! may; then
    echo "The tests need: ${missing[*]}. Install them with: sudo apt-get install -y ${missing[*]}" >&2
    exit 1
  fi
  install "${missing[@]}"
fi
if [ ${#browser[@]} -gt 0 ] && ! { may && install "${browser[@]}"; }; then
  echo "The tests that open pages are skipped. For them: sudo apt-get install -y ${browser[*]}" >&2
fi
