#!/bin/sh
# Some states of the spool after a cut of power; `make torture` tries more.
# timeout: 240
command -v strace >/dev/null || { echo "1..0 # SKIP needs strace"; exit 0; }
exec "$(dirname "$0")/powercut.py" 40
