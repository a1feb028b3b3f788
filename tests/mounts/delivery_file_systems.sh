#!/bin/sh
# Deliveries into checkouts on file systems that ignore case in names (ext4 with casefold), or are FUSE (bindfs), and into
# one with another file system mounted inside it.
#
# BOI=target/debug/boi tests/mounts/delivery_file_systems.sh
set -eu
BOI=$(realpath "${BOI:-target/debug/boi}")
if [ -z "${IN_NAMESPACE:-}" ]; then
    unshare -m true 2>/dev/null || { echo "skipped: mounting needs root"; exit 0; }
    IN_NAMESPACE=1 BOI=$BOI exec unshare -m sh "$0"
fi
dir=$(mktemp -d /tmp/boi-mounts.XXXXXX)
end() {
    code=$?
    for mount in fuse/repo/inside inside/repo/inside casefold fuse; do umount "$dir/$mount" 2>/dev/null || true; done
    rm -rf "$dir"
    exit $code
}
trap end EXIT
fail() { echo "FAIL: $1"; exit 1; }
export HOME="$dir/home" BOI_HOME="$dir/boi" GIT_CONFIG_NOSYSTEM=1
mkdir -p "$HOME" "$dir/casefold" "$dir/fuse" "$dir/source" "$dir/inside"
mkdir -m 700 "$BOI_HOME"
# These disks are small.
echo 'min_free_gb = 0' >"$BOI_HOME/config.toml"
git config --global user.name User
git config --global user.email user@example.org

# make FOLDER: a repository with a few files.
make() {
    git init -q -b main "$1/repo"
    (cd "$1/repo"; echo lower >Readme; echo gone >gone; mkdir inside; echo in >inside/file; git add -A; git commit -q -m first)
}
# deliver FOLDER RUN: merges what the commands RUN change.
deliver() {
    printf 'title = "s"\nrepo = "%s/repo"\ndeliver = "merge"\n[[tasks]]\nrun = """%s"""\n' "$1" "$2" >"$dir/s.toml"
    "$BOI" run "$dir/s.toml" >"$dir/out" 2>&1 || fail "$1: $(cat "$dir/out")"
    "$BOI" status --json | grep -q '"delivery": "unmerged"' && fail "$1: $("$BOI" status --json | grep reason)"
    [ "$(git -C "$1/repo" status --porcelain)" = "" ] || fail "$1 is not clean: $(git -C "$1/repo" status --short)"
    [ ! -e "$1/repo/.git/boi" ] || fail "$1: files of the delivery were left"
    [ -z "$(find "$1/repo" -name '.boi-delivery*')" ] || fail "$1: files of the delivery were left in the checkout"
}
change='echo two >Readme; rm gone; mkdir d; echo n >d/n; echo changed >inside/file; echo new >inside/new; ln -s n d/link'

truncate -s 64M "$dir/image"
if mkfs.ext4 -q -O casefold "$dir/image" 2>/dev/null && mount -o loop "$dir/image" "$dir/casefold" 2>/dev/null; then
    mkdir "$dir/casefold/c"
    chattr +F "$dir/casefold/c"
    make "$dir/casefold/c"
    git -C "$dir/casefold/c/repo" config core.ignorecase true
    deliver "$dir/casefold/c" 'git mv Readme README; echo upper >README; git mv inside Inside; echo x >Inside/x'
    ls "$dir/casefold/c/repo" | grep -qx README || fail "the new name in upper case is missing: $(ls "$dir/casefold/c/repo")"
    [ "$(cat "$dir/casefold/c/repo/README")" = upper ] || fail "the renamed file has the old content"
    echo "ok: ignores case"
else
    echo "skipped: no ext4 with casefold"
fi
if command -v bindfs >/dev/null && bindfs "$dir/source" "$dir/fuse" 2>/dev/null; then
    make "$dir/fuse"
    deliver "$dir/fuse" "$change"
    echo "ok: FUSE"
else
    echo "skipped: no bindfs"
fi
make "$dir/inside"
mv "$dir/inside/repo/inside/file" "$dir/file"
mount -t tmpfs boi "$dir/inside/repo/inside"
cp -p "$dir/file" "$dir/inside/repo/inside/file"
deliver "$dir/inside" "$change"
[ "$(cat "$dir/inside/repo/inside/file" "$dir/inside/repo/inside/new")" = "$(printf 'changed\nnew')" ] || fail "mounted inside"
echo "ok: mounted inside"
