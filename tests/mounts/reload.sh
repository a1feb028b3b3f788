#!/usr/bin/env bash
# Tests the configuration on mounts that do not report every change, or stop answering: bindfs, sshfs, a tmpfs and a bind
# mount over the file. Takes about 2 minutes. Needs root and /dev/fuse; says what it skips.
#
#   BOI  the program to test [default: target/debug/boi]
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
BOI=$(realpath "${BOI:-target/debug/boi}")
scratch=$(mktemp -d /tmp/boi-mounts.XXXXXX)
export HOME=$scratch/home BOI_HOME=$scratch/boi NO_COLOR=1
mkdir -p "$HOME" "$BOI_HOME"
chmod 700 "$BOI_HOME"
cd "$scratch"
mounts=() stopped=() failures=0 daemon=

cleanup() {
    local pid mount
    for pid in "${stopped[@]}"; do kill -CONT "$pid" 2>/dev/null; done
    stop_daemon
    for mount in "${mounts[@]}"; do umount "$mount" 2>/dev/null || umount -l "$mount"; done
    cd / && rm -rf "$scratch"
}
trap cleanup EXIT

skipped() { echo "skipped: $*"; }
failed() { echo "FAILED: $*"; failures=$((failures + 1)); }
stop_daemon() {
    [ -n "$daemon" ] || return 0
    kill -TERM "$daemon"
    wait "$daemon"
    daemon=
}
start_daemon() {
    "$BOI" daemon run --foreground 2>>"$scratch/log" &
    daemon=$!
    eventually 15 "$BOI" daemon status || failed "the daemon does not start"
}
config() { "$BOI" status --json | python3 -c "import json, sys; print(eval('d' + sys.argv[1], {'d': json.load(sys.stdin)}))" "$1"; }
is() { [ "$(config "$1")" = "$2" ]; }
eventually() {
    local left=$(($1 * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        sleep 0.1
    done
}
in_force() { eventually "$2" is "['slots']['max_workers']" "$1" || failed "$3: $1 is not in force within $2 s"; }
point_config_at() { rm -f "$BOI_HOME/config.toml" && ln -s "$1" "$BOI_HOME/config.toml"; }

if [ "$(id -u)" != 0 ]; then
    skipped "mounting needs root"
    exit 0
fi
mkdir src mount

test_tmpfs() {
    mount -t tmpfs none mount || { skipped "a tmpfs cannot be mounted here"; return; }
    mounts=("$scratch/mount")
    echo 'max_workers = 7' >mount/c.toml
    point_config_at "$scratch/mount/c.toml"
    start_daemon
    is "['config']['watch']" inotify || failed "tmpfs: not watched"
    echo 'max_workers = 8' >mount/c.toml
    in_force 8 2 tmpfs
    stop_daemon
    umount mount && mounts=()
}

test_bind_mount_of_the_file() {
    echo 'max_workers = 7' >src/c.toml
    rm -f "$BOI_HOME/config.toml" && touch "$BOI_HOME/config.toml"
    mount --bind src/c.toml "$BOI_HOME/config.toml" || { skipped "a file cannot be bind-mounted here"; return; }
    mounts=("$BOI_HOME/config.toml")
    start_daemon
    echo 'max_workers = 8' >src/c.toml
    in_force 8 4 "bind mount"
    stop_daemon
    umount "$BOI_HOME/config.toml" && mounts=()
}

# A program beyond the mount writes half of the file, pauses, and writes the rest.
test_half_saved_files() {
    [ -e /dev/fuse ] && command -v bindfs >/dev/null || { skipped "there is no bindfs or no /dev/fuse"; return; }
    echo 'max_workers = 7' >src/c.toml
    bindfs src mount || { skipped "bindfs cannot mount here"; return; }
    mounts=("$scratch/mount")
    point_config_at "$scratch/mount/c.toml"
    start_daemon
    is "['config']['watch']" poll || failed "bindfs: 'watch' is not 'poll'"
    (printf 'max_workers = 1'; sleep 4; printf '0\n') >src/c.toml &
    local writer=$! waited=no
    while kill -0 $writer 2>/dev/null; do
        ! is "['slots']['max_workers']" 1 || failed "bindfs: half a file is in force"
        ! is "['config']['outcome']" waiting || waited=yes
        sleep 0.2
    done
    [ $waited = yes ] || failed "bindfs: the verdict was never 'waiting'"
    in_force 10 12 bindfs
    echo 'max_workers = 8' >src/c.toml
    "$BOI" daemon reload >/dev/null
    [ $? = 4 ] || failed "bindfs: the first reload after a change does not wait"
    "$BOI" daemon reload >/dev/null || failed "bindfs: the second reload does not take the file"
    in_force 8 1 "bindfs, after a second reload"
    stop_daemon
    umount mount && mounts=()
}

test_a_mount_that_hangs() {
    local server=/usr/lib/openssh/sftp-server
    [ -e /dev/fuse ] && command -v sshfs >/dev/null && [ -x $server ] || { skipped "there is no sshfs, sftp-server or /dev/fuse"; return; }
    echo 'max_workers = 7' >src/c.toml
    printf '#!/bin/sh\necho $$ >%s/server\nexec %s\n' "$scratch" $server >ssh
    chmod 700 ssh
    sshfs -o "ssh_command=$scratch/ssh,sftp_server=$server" "x:$scratch/src" mount || { skipped "sshfs cannot mount here"; return; }
    mounts=("$scratch/mount")
    point_config_at "$scratch/mount/c.toml"
    start_daemon
    stopped=("$(cat server)")
    kill -STOP "${stopped[0]}"
    eventually 12 sh -c "'$BOI' status | grep -q 'has not answered for'" || failed "sshfs: status does not show the age of the look"
    for command in "config get max_workers" "config diff" "daemon reload" "doctor" "log S0000" status; do
        # shellcheck disable=SC2086
        "$BOI" $command >/dev/null 2>&1 &
        eventually 14 sh -c "! kill -0 $! 2>/dev/null" || failed "sshfs: 'boi $command' hangs"
    done
    kill -TERM "$daemon"
    if eventually 5 sh -c "! kill -0 $daemon 2>/dev/null"; then
        wait "$daemon"
        daemon=
    else
        failed "sshfs: SIGTERM does not end the daemon"
    fi
    start_daemon
    in_force 7 1 "sshfs, the last good configuration"
    kill -CONT "${stopped[0]}"
    eventually 10 is "['config']['outcome']" unchanged || failed "sshfs: the file is not read again"
    stop_daemon
    umount mount && mounts=()
}

test_tmpfs
test_bind_mount_of_the_file
test_half_saved_files
test_a_mount_that_hangs
[ $failures = 0 ] && echo "mounts: all passed"
exit $((failures > 0))
