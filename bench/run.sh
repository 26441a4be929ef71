#!/usr/bin/env bash
# The benchmark from end to end: installs what it measures where that is missing, builds, and measures.
set -euo pipefail

help() {
    cat <<'HELP'
usage: bench/run.sh [--quick] [--work DIR] [--json FILE] [ARGUMENT…]

--quick      an eighth of the data and three rounds: minutes in place of most of an hour
--work DIR   where a folder for this run is made, and removed at the end; it should be on the
             disk that the figures are to speak of [default: cargo's target folder]
--json FILE  where the results go [default: bench.json in cargo's target folder]
ARGUMENT…    goes to 'selfenc-bench end-to-end', whose --help says more

Needs Debian, or age, restic, rclone, borg, zstd and GNU time installed by other means; 14 GiB of
disk and 6 GiB of memory, and with --quick 2 GiB of each. Programs run with an empty environment
and a home folder of their own inside the work folder: no store, repository, cache or setting of
yours is read or written. Leave the machine alone meanwhile.

Examples:
  bench/run.sh --quick
  bench/run.sh --work /mnt/disk --json /tmp/bench.json
  bench/run.sh --quick --only stages,memory
  target/release/selfenc-bench render target/bench.json     then: the tables and plots in docs/
HELP
}

fail() {
    printf 'run.sh: %s\n' "$1" >&2
    exit 1
}

# Where the user stands, since DIR and FILE are meant from there.
stood=$PWD
from_there() {
    case $1 in
    /*) printf '%s' "$1" ;;
    *) printf '%s/%s' "$stood" "$1" ;;
    esac
}

quick=
work=
json=
rest=()
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        help
        exit
        ;;
    --quick) quick=--quick ;;
    --work | --json)
        [ $# -gt 1 ] || fail "$1 needs a value; see --help"
        if [ "$1" = --work ]; then work=$(from_there "$2"); else json=$(from_there "$2"); fi
        shift
        ;;
    *) rest+=("$1") ;;
    esac
    shift
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=$(from_there "${CARGO_TARGET_DIR:-$PWD/target}")
work=${work:-$target}
json=${json:-$target/bench.json}

# Program and Debian package, line by line.
missing=()
while read -r program package; do
    command -v "$program" >/dev/null || missing+=("$package")
done <<'PACKAGES'
age age
restic restic
rclone rclone
borg borgbackup
zstd zstd
/usr/bin/time time
PACKAGES

if [ ${#missing[@]} -gt 0 ]; then
    install="apt-get install --no-install-recommends ${missing[*]}"
    command -v apt-get >/dev/null || fail "install ${missing[*]} first: there is no apt-get here"
    [ "$(id -u)" -eq 0 ] || fail "not installed: ${missing[*]}. Run: sudo $install"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -q && apt-get install -q -y --no-install-recommends "${missing[@]}"; } >&2 ||
        fail "could not install ${missing[*]}: check the network, then run: apt-get update && $install"
fi

cargo build --locked --release -p selfenc-cli -p selfenc-bench

mkdir -p "$work" "$(dirname "$json")"
gib=$([ -n "$quick" ] && echo 2 || echo 14)
free=$(df -Pk "$work" | awk 'NR == 2 { print int($4 / 1048576) }')
[ "$free" -ge "$gib" ] || fail "$work has $free GiB left, and this needs $gib: name another folder with --work"

folder=$(mktemp -d "$work/selfenc-bench.XXXXXX")
bench=
ended() {
    # Its programs are in its group.
    [ -z "$bench" ] || kill -TERM -- "-$bench" 2>/dev/null || true
    [ -z "$bench" ] || wait "$bench" 2>/dev/null || true
    rm -rf "$folder"
}
trap ended EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# In a group of its own and in the background, so that a signal to this script ends all of it at once.
set -m
"$target/release/selfenc-bench" end-to-end ${quick:+"$quick"} --work "$folder" --json "$json" \
    --selfenc "$target/release/selfenc" "${rest[@]}" </dev/null &
bench=$!
set +m
wait "$bench"
bench=
