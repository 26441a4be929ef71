# What minio.sh and garage.sh share: where the tools are, ports, and servers that are stopped by their
# process id. Sourced, never run.

# Programs that a script installs are kept here, so that a fresh clone does not build them again.
tools=${SELFENC_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/selfenc}

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit 1
}

say() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
}

# $1 random bytes as hexadecimal digits.
random_hex() {
    od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

# A port of this machine that nobody answers on. Below the range from which systems give out ports of
# their own accord. Somebody may take it before we do: who uses it must be ready to try another.
free_port() {
    local port
    while :; do
        port=$((20000 + 0x$(random_hex 2) % 12000))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            printf '%s' "$port"
            return
        fi
    done
}

# The status that port $1 answers a GET of $2 with; nothing if it does not answer.
http_status() {
    local line
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1" || exit
        printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: close\r\n\r\n' "$2" "$1" >&3
        IFS=' ' read -r -t 5 _ line _ <&3 && printf '%s' "$line"
    ) 2>/dev/null || true
}

# The command line of process $1.
command_line() {
    if [ -r "/proc/$1/cmdline" ]; then
        tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" || true
    else
        ps -o args= -p "$1" 2>/dev/null || true
    fi
}

# Whether the server of the state folder $1 runs. Its command line names the folder, so that another
# process that has got its number is not taken for it.
runs() {
    local pid
    [ -n "$1" ] && [ -s "$1/pid" ] || return 1
    pid=$(<"$1/pid")
    kill -0 "$pid" 2>/dev/null || return 1
    case $(command_line "$pid") in
    *"$1"*) return 0 ;;
    *) return 1 ;;
    esac
}

# Stops the server of the state folder $1, if it runs, and removes the folder with the data.
stop_server() {
    local pid
    if runs "$1"; then
        pid=$(<"$1/pid")
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 100); do
            runs "$1" || break
            sleep 0.1
        done
        if runs "$1"; then
            kill -KILL "$pid" 2>/dev/null || true
            sleep 0.2
        fi
    fi
    rm -rf "$1"
}

# The variables that the command and AWS's own tools know, after those of the tests in the state folder $1.
for_everybody() {
    cat >>"$1/env" <<'ENV'
export AWS_ENDPOINT_URL=$SELFENC_TEST_S3_ENDPOINT AWS_REGION=$SELFENC_TEST_S3_REGION
export AWS_ACCESS_KEY_ID=$SELFENC_TEST_S3_ACCESS_KEY AWS_SECRET_ACCESS_KEY=$SELFENC_TEST_S3_SECRET_KEY
ENV
}

# Waits until the server of the state folder $1 answers port $2, path $3, with 200. Fails if it ends
# before, as it does if the port is taken meanwhile, or if it is not ready within a minute.
wait_ready() {
    local pid
    # A child of ours, so the number is its own; `runs` would not know it before it has become the server.
    pid=$(<"$1/pid")
    for _ in $(seq 300); do
        kill -0 "$pid" 2>/dev/null || return 1
        if [ "$(http_status "$2" "$3")" = 200 ]; then
            # If the answer came from another server on this port, ours is about to end.
            sleep 1
            kill -0 "$pid" 2>/dev/null
            return
        fi
        sleep 0.2
    done
    kill -KILL "$pid" 2>/dev/null || true
    return 1
}

# A server in the state folder $1, by `launch FOLDER PORT`, which is the script's own.
start_server() {
    local state=$1 port
    for _ in 1 2 3 4 5; do
        port=$(free_port)
        if launch "$state" "$port"; then
            return
        fi
    done
    tail -n 20 "$state/log" >&2 || true
    stop_server "$state"
    fail "it does not start; above are the last lines of its log"
}

# `start`: the one server that lives until `stop`, and how to reach it. $1 is a link to its state folder;
# of two that start at the same time, the one that makes the link stays.
start_for_long() {
    local link=$1 state
    if ! runs "$(readlink "$link")"; then
        stop_for_long "$link"
        mkdir -p "$(dirname "$link")"
        state=$(mktemp -d "$link.XXXXXX")
        start_server "$state"
        ln -sn "$state" "$link" 2>/dev/null || stop_server "$state"
    fi
    cat "$link/env"
}

stop_for_long() {
    if [ -L "$1" ]; then
        stop_server "$(readlink "$1")"
        rm -f "$1"
    fi
}

# `run`: the command $1… with a server of its own, which does not outlive it.
run_with_server() {
    local state
    state=$(mktemp -d "${TMPDIR:-/tmp}/selfenc-server.XXXXXX")
    # shellcheck disable=SC2064 # the folder of now
    trap "stop_server '$state'" EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    start_server "$state"
    # shellcheck disable=SC1091
    . "$state/env"
    "$@"
}
