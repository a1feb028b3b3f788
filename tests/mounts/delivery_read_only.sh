#!/bin/sh
# A delivery is killed halfway, and then the disk with the checkout is read-only: the changed files are named, nothing is
# merged there, and everything is put back once the disk can be written again.
#
# BOI=target/debug/boi tests/mounts/delivery_read_only.sh    (a debug build: failpoints kill the daemon)
set -eu
BOI=$(realpath "${BOI:-target/debug/boi}")
if [ -z "${IN_NAMESPACE:-}" ]; then
    unshare -m true 2>/dev/null || { echo "skipped: mounting needs root"; exit 0; }
    IN_NAMESPACE=1 BOI=$BOI exec unshare -m sh "$0"
fi
dir=$(mktemp -d /tmp/boi-mounts.XXXXXX)
daemon=
end() {
    code=$?
    if [ -n "$daemon" ]; then kill -TERM "$daemon" 2>/dev/null || true; wait "$daemon" 2>/dev/null || true; fi
    umount "$dir/disk" 2>/dev/null || true
    rm -rf "$dir"
    exit $code
}
trap end EXIT
fail() { echo "FAIL: $1"; exit 1; }
until_true() { for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done; fail "waited too long: $*"; }
export HOME="$dir/home" BOI_HOME="$dir/boi" GIT_CONFIG_NOSYSTEM=1
mkdir -p "$HOME" "$dir/disk"
mount -t tmpfs boi "$dir/disk" || { echo "skipped: cannot mount"; exit 0; }
mkdir -m 700 "$BOI_HOME"
# These disks are small.
echo 'min_free_gb = 0' >"$BOI_HOME/config.toml"
git config --global user.name User
git config --global user.email user@example.org
cd "$dir/disk"
git init -q -b main repo
cd repo
echo one >a; echo gone >gone; git add -A; git commit -q -m first
cd "$dir"
printf 'title = "s"\nrepo = "disk/repo"\ndeliver = "merge"\n[[tasks]]\nrun = "echo two >a; rm gone; mkdir d; echo n >d/n"\n' >s.toml
id=$("$BOI" dispatch s.toml --json | sed -n 's/.*"id": *"\(S[0-9A-F]*\)".*/\1/p' | head -1)
status() { "$BOI" status "$id" --json; }
is() { status | grep -q "\"delivery\": \"$1\""; }
BOI_FAILPOINT="delivery.all-placed=$dir/fired" "$BOI" daemon run --foreground 2>"$dir/log" && fail "the daemon was not killed"
[ -e "$dir/fired" ] || fail "the failpoint was not reached"
mount -o remount,ro "$dir/disk"
"$BOI" daemon run --foreground 2>>"$dir/log" & daemon=$!
until_true is unmerged
for file in a gone d/n; do
    "$BOI" status "$id" | grep -q "half changed $file" || fail "status does not name $file"
    "$BOI" doctor | grep "the merge of $id was interrupted" | grep -q "$file" || fail "doctor does not name $file"
done
"$BOI" doctor --fix | grep -q "fix failed" || fail "doctor fixed a read-only disk"
mount -o remount,rw "$dir/disk"
"$BOI" doctor --fix | grep -q "undid the merge of $id" || fail "doctor did not put the files back"
[ "$(git -C disk/repo status --porcelain)" = "" ] && [ "$(cat disk/repo/a disk/repo/gone)" = "$(printf 'one\ngone')" ] ||
    fail "the checkout is not as it was"
"$BOI" retry "$id" >/dev/null
until_true is merged
[ "$(cat disk/repo/a disk/repo/d/n)" = "$(printf 'two\nn')" ] && [ ! -e disk/repo/gone ] || fail "the merge is not in the checkout"
echo "ok"
