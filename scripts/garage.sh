#!/usr/bin/env bash
# A Garage server for the tests of the S3 backend: a service that ignores conditions. By hand only, for
# building it takes long.
set -euo pipefail
umask 077
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/server.sh

help() {
    cat <<'HELP'
usage: scripts/garage.sh start | stop | test [ARGUMENT…] | run COMMAND [ARGUMENT…] | install

start    starts a server and prints the variables by which the tests find it, and the
         command and AWS's own tools as well (the bucket is called selfenc):
             eval "$(scripts/garage.sh start)"
stop     stops that server and removes its data
test     starts a server of its own, runs the conformance suite over it, stops it; the
         arguments go to `cargo test`
run      the same with any command, which finds the variables set
install  installs the server and prints its path

Garage is built from its pinned source by cargo the first time (8 minutes on two cores), into the
folder ${SELFENC_TOOLS:-${XDG_CACHE_HOME:-~/.cache}/selfenc}. It runs as a process of its own on
127.0.0.1, with random credentials. Garage is under the AGPL; nothing of it is part of selfenc.
HELP
}

pin=2.5.0
garage=$tools/garage-$pin/garage

install_garage() {
    [ -x "$garage" ] && return
    command -v cargo >/dev/null ||
        fail "Garage is not installed, and there is no cargo to build it: install Rust (https://rustup.rs), or put a server called garage at $garage"
    say "building Garage $pin; this takes many minutes, once"
    local folder building
    folder=$(dirname "$garage")
    mkdir -p "$folder"
    # Built aside and renamed: whoever installs at the same time, `garage` is whole.
    building=$(mktemp -d "$folder/building.XXXXXX")
    if ! cargo install garage --version "$pin" --locked --root "$building" --target-dir "$building/target" >&2; then
        rm -rf "$building"
        fail "Garage could not be built; it needs the network (crates.io) and a C compiler"
    fi
    mv -f "$building/bin/garage" "$garage"
    rm -rf "$building"
}

launch() {
    local state=$1 port=$2 rpc admin key secret
    rpc=$(free_port)
    admin=$(free_port)
    key=GK$(random_hex 12)
    secret=$(random_hex 32)
    cat >"$state/garage.toml" <<TOML
metadata_dir = "$state/meta"
data_dir = "$state/data"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:$rpc"
rpc_public_addr = "127.0.0.1:$rpc"
rpc_secret = "$(random_hex 32)"

[s3_api]
s3_region = "garage"
api_bind_addr = "127.0.0.1:$port"
root_domain = ".s3.garage.localhost"

[admin]
api_bind_addr = "127.0.0.1:$admin"
TOML
    env GARAGE_DEFAULT_ACCESS_KEY="$key" GARAGE_DEFAULT_SECRET_KEY="$secret" GARAGE_DEFAULT_BUCKET=selfenc \
        nohup "$garage" -c "$state/garage.toml" server --single-node --default-access-key --default-bucket \
        </dev/null >"$state/log" 2>&1 &
    printf '%s\n' "$!" >"$state/pid"
    cat >"$state/env" <<ENV
export SELFENC_TEST_S3_ENDPOINT=http://127.0.0.1:$port
export SELFENC_TEST_S3_REGION=garage
export SELFENC_TEST_S3_BUCKET=selfenc
export SELFENC_TEST_S3_ACCESS_KEY=$key
export SELFENC_TEST_S3_SECRET_KEY=$secret
export SELFENC_TEST_S3_KIND=garage
ENV
    for_everybody "$state"
    wait_ready "$state" "$admin" /health
}

tests() {
    export SELFENC_REQUIRE_S3=1
    cargo test --locked -p selfenc-s3 --test endpoint "$@"
}

link=$tools/run/garage
case ${1:-} in
start)
    install_garage
    start_for_long "$link"
    ;;
stop)
    stop_for_long "$link"
    ;;
test)
    shift
    install_garage
    run_with_server tests "$@"
    ;;
run)
    shift
    [ $# -gt 0 ] || fail 'run needs a command; see --help'
    install_garage
    run_with_server "$@"
    ;;
install)
    install_garage
    printf '%s\n' "$garage"
    ;;
-h | --help | help)
    help
    ;;
*)
    help >&2
    exit 2
    ;;
esac
