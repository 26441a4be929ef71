#!/usr/bin/env bash
# A MinIO server for the tests of the S3 backend: installs it where it is missing, starts it, stops it.
set -euo pipefail
umask 077
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/server.sh

help() {
    cat <<'HELP'
usage: scripts/minio.sh start | stop | test [ARGUMENT…] | run COMMAND [ARGUMENT…] | install

start    starts a server and prints the variables by which the tests find it, and the
         command and AWS's own tools as well (the bucket is called selfenc):
             eval "$(scripts/minio.sh start)"
stop     stops that server and removes its data
test     starts a server of its own, runs the tests that need one, stops it; the
         arguments go to `cargo test`
run      the same with any command, which finds the variables set
install  installs the server and prints its path

MinIO is built from its pinned source by Go the first time (minutes), into the folder
${SELFENC_TOOLS:-${XDG_CACHE_HOME:-~/.cache}/selfenc}. It runs as a process of its own on
127.0.0.1, with random credentials. MinIO is under the AGPL; nothing of it is part of selfenc.
HELP
}

# The last commit of the project, which publishes no programs any more. Releases after July 2025 are not
# served as modules.
pin=v0.0.0-20260212201848-7aac2a2c5b7c
minio=$tools/minio-$pin/minio

install_minio() {
    [ -x "$minio" ] && return
    command -v go >/dev/null ||
        fail "MinIO is not installed, and there is no Go to build it: install Go (https://go.dev/dl), or put a server called minio at $minio"
    say "building MinIO $pin with $(go version | cut -d ' ' -f 3); this takes minutes, once"
    local folder building
    folder=$(dirname "$minio")
    mkdir -p "$folder"
    # Built aside and renamed: whoever installs at the same time, `minio` is whole.
    building=$(mktemp -d "$folder/building.XXXXXX")
    if ! env -u GOOS -u GOARCH CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOBIN="$building" \
        go install "github.com/minio/minio@$pin" >&2; then
        rm -rf "$building"
        fail "MinIO could not be built; it needs the network (proxy.golang.org) and Go 1.24 or later"
    fi
    mv -f "$building/minio" "$minio"
    rm -rf "$building"
}

launch() {
    local state=$1 port=$2 user secret
    user=selfenc-$(random_hex 4)
    secret=$(random_hex 20)
    # A folder in the data is a bucket.
    mkdir -p "$state/data/selfenc"
    env HOME="$state" MINIO_ROOT_USER="$user" MINIO_ROOT_PASSWORD="$secret" MINIO_UPDATE=off MINIO_BROWSER=off \
        MINIO_PROMETHEUS_AUTH_TYPE=public nohup "$minio" server --quiet --address "127.0.0.1:$port" "$state/data" \
        </dev/null >"$state/log" 2>&1 &
    printf '%s\n' "$!" >"$state/pid"
    cat >"$state/env" <<ENV
export SELFENC_TEST_S3_ENDPOINT=http://127.0.0.1:$port
export SELFENC_TEST_S3_REGION=us-east-1
export SELFENC_TEST_S3_ACCESS_KEY=$user
export SELFENC_TEST_S3_SECRET_KEY=$secret
export SELFENC_TEST_S3_KIND=minio
export SELFENC_TEST_MINIO='$minio'
ENV
    for_everybody "$state"
    wait_ready "$state" "$port" /minio/health/ready
}

tests() {
    export SELFENC_REQUIRE_S3=1
    # As the whole suite is built, so that nothing is built anew for other features.
    cargo test --locked --test endpoint --test restart "$@"
    cargo test --locked --test cli s3:: "$@"
}

link=$tools/run/minio
case ${1:-} in
start)
    install_minio
    start_for_long "$link"
    ;;
stop)
    stop_for_long "$link"
    ;;
test)
    shift
    install_minio
    run_with_server tests "$@"
    ;;
run)
    shift
    [ $# -gt 0 ] || fail 'run needs a command; see --help'
    install_minio
    run_with_server "$@"
    ;;
install)
    install_minio
    printf '%s\n' "$minio"
    ;;
-h | --help | help)
    help
    ;;
*)
    help >&2
    exit 2
    ;;
esac
