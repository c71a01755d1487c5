#!/usr/bin/env bash
# Runs the tests in stages, each with its time and a limit that ends it, so that nothing hangs.
#
# usage: stages.sh [stage...]   with no stage: check unit contract model broker engine faults; `long` only when it is named
set -uo pipefail
cd "$(dirname "$0")/.."

BIN=.venv/bin
# Seconds: what ends a stage that hangs, on a busy machine too. On two idle cores all of them, without `long`, take about half.
# TEST_SCHEDULES: how many schedules the model tries on each of its machines, where that is to be more than the few it does.
declare -A LIMIT_S=([check]=200 [unit]=300 [contract]=60 [model]=$((300 + ${TEST_SCHEDULES:-0} / 10)) [broker]=1500 [engine]=500 [faults]=1500 [long]=3000)
STAGES=("$@")
[ $# -gt 0 ] || STAGES=(check unit contract model broker engine faults)
REPORT=()
FAILED=0

check() {
    local failed=0
    $BIN/ruff check --quiet . || failed=1
    $BIN/mypy || failed=1
    $BIN/mypy --explicit-package-bases tests || failed=1
    $BIN/lint-imports || failed=1
    $BIN/hadolint deploy/docker/*.Dockerfile || failed=1
    $BIN/python -m pytest -q tests/house || failed=1
    return $failed
}

tests() { # tests MARKS: those with these marks, wherever they lie
    $BIN/python -m pytest -q -m "$1" --ignore=tests/contract --ignore=tests/house --durations="${2:-5}"
}

contract() {
    $BIN/python -m pytest -q tests/contract
}

run_stage() {
    case $1 in
        check) check ;;
        contract) contract ;;
        long) tests long 0 ;;
        broker | faults) tests "$1 and not long" ;;
        *) tests "$1" ;;
    esac
}

if [ "${STAGE_INSIDE:-}" ]; then # under `timeout`, which runs programs and no functions
    run_stage "$1"
    exit
fi

for stage in "${STAGES[@]}"; do
    [ -n "${LIMIT_S[$stage]:-}" ] || { echo "stages: no stage is named $stage" >&2; exit 2; }
    printf '== %s (at most %d s)\n' "$stage" "${LIMIT_S[$stage]}"
    began=$SECONDS
    # In a process group of its own, which `timeout` ends as a whole; so Ctrl-C has to be handed on.
    STAGE_INSIDE=1 timeout --kill-after=20 "${LIMIT_S[$stage]}" "$0" "$stage" &
    running=$!
    trap 'kill -TERM $running; wait $running; exit 130' INT TERM
    wait $running
    status=$?
    verdict=passed
    [ $status -eq 0 ] || { verdict="FAILED ($status)"; FAILED=1; }
    [ $status -ne 124 ] && [ $status -ne 137 ] || verdict="FAILED (over its limit)"
    REPORT+=("$(printf '%-10s %4d s  %s' "$stage" $((SECONDS - began)) "$verdict")")
    printf '   %d s, %s\n' $((SECONDS - began)) "$verdict"
done
printf '\n'
printf '%s\n' "${REPORT[@]}"
exit $FAILED
