#!/bin/sh
# Some states of the spool after a cut of power; `make torture` tries more.
# timeout: 240
command -v strace >/dev/null || { echo "1..0 # SKIP needs strace"; exit 0; }
# Of a process that jailed itself, strace sees only as root what is open.
[ "$(id -u)" = 0 ] || { echo "1..0 # SKIP needs root"; exit 0; }
exec "$(dirname "$0")/powercut.py" 40
