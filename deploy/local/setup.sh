#!/usr/bin/env bash
# Installs what is missing, in stages, each with its time: system packages, Python packages, Kafka.
#
# usage: setup.sh core|worker|backtest|dev
#   core      what the router, the gateway and the command line need (ENGINE=scripted)
#   worker    that and vLLM
#   backtest  that and what a backtest's figures and plots need
#   dev       that and what tests and checks need
# What is there already is skipped; an environment that holds more than is asked for stays as it is.
set -euo pipefail
cd "$(dirname "$0")/../.."

LEVELS=(core worker backtest dev)
TOOLS=.local/tools
STAMP=.venv/.level

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

stage() { # stage "what it is" function...
    local began=$EPOCHREALTIME
    printf '== %s\n' "$1"
    shift
    "$@"
    printf '   %.1f s\n' "$(seconds_between "$EPOCHREALTIME" "$began")"
}

seconds_between() { # seconds between two times with six decimals
    local microseconds=$((${1/[.,]/} - ${2/[.,]/}))
    printf '%d.%06d' $((microseconds / 1000000)) $((microseconds % 1000000))
}

digest() { # digest of files, in this order
    cat "$@" | sha256sum | cut -d' ' -f1
}

find_python() { # the first Python that is new enough, and can make environments
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
}

java_is_17() {
    local version
    version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p') && [ "${version:-0}" -ge 17 ]
}

missing_packages() { # Debian's names of what this machine lacks
    local python
    python=$(find_python)
    [ -n "$python" ] || echo python3
    { [ -n "$python" ] && "$python" -c 'import ensurepip, venv'; } 2>/dev/null || echo python3-venv
    java_is_17 || echo openjdk-17-jre-headless
    command -v mvn >/dev/null || echo maven
    command -v redis-server >/dev/null || echo redis-server
    # vLLM's CPU build is linked against it, and no wheel brings it.
    [ "$LEVEL" = core ] || "${python:-false}" -c 'import ctypes; ctypes.CDLL("libnuma.so.1")' 2>/dev/null || echo libnuma1
}

apt() {
    local as=()
    [ "$(id -u)" -eq 0 ] || as=(sudo -n)
    "${as[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -q -o DPkg::Lock::Timeout=120 "$@"
}

stop_packaged_redis() { # Debian starts the Redis it installs, on the port that ours uses
    local as=()
    [ "$(id -u)" -eq 0 ] || as=(sudo -n)
    if [ -d /run/systemd/system ]; then
        "${as[@]}" systemctl disable --now redis-server
    else
        "${as[@]}" service redis-server stop >/dev/null 2>&1 || true
    fi
}

system_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null || { [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; }; then
        fail "missing: ${missing[*]} (Debian's names). Install them, then run this again: it takes root, or sudo without a password, to do it here."
    fi
    echo "   installing ${missing[*]}"
    apt update >/dev/null
    apt install -y --no-install-recommends "${missing[@]}" >.local/logs/apt.log 2>&1 ||
        { tail -n 20 .local/logs/apt.log >&2; fail "apt-get could not install: ${missing[*]}"; }
    [[ " ${missing[*]} " != *" redis-server "* ]] || stop_packaged_redis
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -eq 0 ] || fail "still missing after apt-get: ${missing[*]}. Python must be 3.11 or newer, Java 17 or newer."
}

environment() { # .venv itself, and uv beside it
    local python
    python=$(find_python)
    [ -x .venv/bin/python ] || "$python" -m venv --without-pip .venv
    if [ "$(cat $TOOLS/.digest 2>/dev/null)" != "$(digest deploy/locks/setup.txt)" ]; then
        "$python" -m venv --clear $TOOLS
        $TOOLS/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r deploy/locks/setup.txt
        digest deploy/locks/setup.txt >$TOOLS/.digest
    fi
}

level_number() {
    local at
    for at in "${!LEVELS[@]}"; do
        [ "${LEVELS[$at]}" != "$1" ] || { printf '%s' "$at"; return; }
    done
    printf '%s' -1
}

python_packages() { # python_packages LEVEL: never less than is there
    local level=$1 installed wanted
    installed=$(cut -d' ' -f1 $STAMP 2>/dev/null || true)
    [ "$(level_number "$installed")" -le "$(level_number "$level")" ] || level=$installed
    wanted="$level $(digest "deploy/locks/$level.txt" deploy/locks/build.txt pyproject.toml)"
    [ "$(cat $STAMP 2>/dev/null)" != "$wanted" ] || return 0
    rm -f $STAMP
    # Compiled here, once, on all cores: vLLM takes 8 s to import so, 16 s otherwise, in each of several processes at once.
    $TOOLS/bin/uv pip sync --python .venv/bin/python --compile-bytecode --require-hashes "deploy/locks/$level.txt" deploy/locks/build.txt 2>&1 |
        sed '/^ [-+~] /d; s/^/   /'
    $TOOLS/bin/uv pip install -q --python .venv/bin/python --no-deps --no-build-isolation -e .
    echo "$wanted" >$STAMP
}

kafka() {
    local wanted
    wanted="$(digest deploy/local/kafka/pom.xml deploy/local/kafka/jars.sha256 deploy/local/kafka_setup.py) $(java -version 2>&1 | tail -n 1)"
    [ "$(cat .local/kafka/.complete 2>/dev/null)" != "$wanted" ] || return 0
    rm -rf .local/kafka
    mvn -B -C -l .local/logs/maven.log -f deploy/local/kafka/pom.xml dependency:copy-dependencies \
        -DoutputDirectory="$PWD/.local/kafka/libs" >/dev/null 2>&1 ||
        { tail -n 20 .local/logs/maven.log >&2; fail "Maven could not bring Kafka's jars"; }
    .venv/bin/python -m deploy.local.kafka_setup
    echo "$wanted" >.local/kafka/.complete
}

LEVEL=${1:-}
[ "$(level_number "$LEVEL")" -ge 0 ] || fail "say which: core, worker, backtest or dev"
mkdir -p .local/logs
stage "system packages" system_packages
stage "Python environment" environment
stage "Python packages ($LEVEL)" python_packages "$LEVEL"
stage "Kafka" kafka
