#!/bin/sh
# Starts are deferred while a real disk is full, and while a real cgroup has little memory left: of the home, of a
# repository, and of the daemon's cgroup.
#
# BOI=target/debug/boi tests/mounts/full_disk.sh
set -eu
BOI=$(realpath "${BOI:-target/debug/boi}")
if [ -z "${IN_NAMESPACE:-}" ]; then
    unshare -m true 2>/dev/null || { echo "skipped: mounting needs root"; exit 0; }
    IN_NAMESPACE=1 BOI=$BOI exec unshare -m sh "$0"
fi
dir=$(mktemp -d /tmp/boi-mounts.XXXXXX)
daemon= hog= cgroup=
end() {
    code=$?
    for pid in $daemon $hog; do kill -TERM "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done
    cd /
    # The daemon's own processes end a moment after it.
    for mount in boi repo; do for _ in $(seq 50); do umount "$dir/$mount" 2>/dev/null && break; sleep 0.1; done; done
    if [ -n "$cgroup" ]; then for _ in $(seq 50); do rmdir "$cgroup" 2>/dev/null && break; sleep 0.1; done; fi
    rm -rf "$dir"
    exit $code
}
trap end EXIT
fail() { echo "FAIL: $1"; cat "$dir/log" 2>/dev/null || true; exit 1; }
until_true() { for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done; fail "waited too long: $*"; }
export HOME="$dir/home" BOI_HOME="$dir/boi" GIT_CONFIG_NOSYSTEM=1 NO_COLOR=1
mkdir -p "$HOME" "$dir/boi" "$dir/repo"
# The memory of a tmpfs is used only as far as it is filled.
mount -t tmpfs -o size=1400m,mode=700 boi "$dir/boi" || { echo "skipped: cannot mount"; exit 0; }
mount -t tmpfs -o size=1400m boi "$dir/repo"
git config --global user.name User
git config --global user.email user@example.org
git init -q -b main "$dir/repo/r"
(cd "$dir/repo/r"; echo one >a; git add -A; git commit -q -m first)
printf 'title = "scratch"\n[[tasks]]\nrun = "true"\n' >"$dir/scratch.toml"
printf 'title = "repo"\nrepo = "repo/r"\n[[tasks]]\nrun = "echo two >a"\n' >"$dir/repo.toml"
cd "$dir"
dispatch() { "$BOI" dispatch "$1.toml" --json | sed -n 's/.*"id": *"\(S[0-9A-F]*\)".*/\1/p' | head -1; }
has() { "$BOI" status "$1" --json | grep -q "\"$2\": \"$3\""; }
is_deferred() { has "$1" status queued && has "$1" kind deferred; }
is_completed() { has "$1" status completed; }
free_is() { "$BOI" status | grep -q "now $1"; }

echo 'min_free_gb = 1
tick_interval_ms = 100' >boi/config.toml
fallocate -l 500m boi/filler
"$BOI" daemon run --foreground 2>"$dir/log" & daemon=$!
until_true "$BOI" daemon status
id=$(dispatch scratch)
until_true is_deferred "$id"
"$BOI" doctor | grep -q "$dir/boi has too little free space" || fail "doctor does not name the disk"
fallocate -l 200m boi/less && rm boi/filler
until_true free_is "1.1 GiB are free"
is_deferred "$id" || fail "a reading in the band ended the deferral"
rm boi/less
until_true is_completed "$id"
echo "ok: home"

fallocate -l 500m repo/filler
id=$(dispatch repo)
until_true is_deferred "$id"
other=$(dispatch scratch)
until_true is_completed "$other"
is_deferred "$id" || fail "the full disk of the repository was ignored"
rm repo/filler
until_true is_completed "$id"
echo "ok: repository"
kill -TERM "$daemon"; wait "$daemon" || true; daemon=

# A cgroup of 200 MiB for the daemon, of version 1 or 2.
for root in /sys/fs/cgroup/memory /sys/fs/cgroup /sys/fs/cgroup/unified; do
    mkdir "$root/boi-test.$$" 2>/dev/null || continue
    cgroup=$root/boi-test.$$
    for limit in memory.limit_in_bytes memory.max; do
        if echo 209715200 2>/dev/null >"$cgroup/$limit"; then break 2; fi
    done
    rmdir "$cgroup"
    cgroup=
done
[ -n "$cgroup" ] || { echo "skipped: no cgroup with a limit of memory can be made"; exit 0; }
echo 'max_memory_percent = 50
min_free_gb = 0
tick_interval_ms = 100' >boi/config.toml
# Always called in the background, so that its own process becomes the program.
inside() { exec sh -c 'echo $$ >"$0/cgroup.procs"; exec "$@"' "$cgroup" "$@"; }
# Keeps 120 MB in memory until it is killed.
inside perl -e '$x = ""; vec($x, 120_000_000, 8) = 1; sleep 600' & hog=$!
inside "$BOI" daemon run --foreground 2>>"$dir/log" & daemon=$!
until_true "$BOI" daemon status
until_true sh -c 'test $(cat "$0"/memory.usage_in_bytes "$0"/memory.current 2>/dev/null) -gt 120000000' "$cgroup"
id=$(dispatch scratch)
until_true is_deferred "$id"
"$BOI" status | grep -q "% of 200 MiB are used" || fail "status does not show the memory of the cgroup"
kill "$hog"; wait "$hog" || true; hog=
until_true is_completed "$id"
echo "ok: memory of the cgroup"
