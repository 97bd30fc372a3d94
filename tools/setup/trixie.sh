#!/bin/sh
# Runs a command as root in a Debian 13 that is kept in a folder, in a copy of this repository:
#
#     trixie.sh FOLDER [--offline] COMMAND...
#
# The first time, the tree is made with debootstrap, from the mirror that apt uses here. Mounts are
# in a namespace of the command's own, and gone when it has ended. --offline gives it a loopback of
# its own and nothing else, so that a pcscd there does not meet the one of this computer.
set -eu
SUITE=trixie
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
INCLUDED=ca-certificates,iproute2,make,sudo
SOURCE=/root/cloudcard # in the tree

say() { echo "trixie.sh: $*" >&2; }

# Where apt gets Debian from here. $1: "", or "-security" for the archive of that name.
mirror() {
    found=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' \
        'Created-By: Packages' 2>/dev/null |
        awk -v pocket="$1" '$1 == "Debian" && $2 ~ "^[a-z]+" pocket "$" { print $3; exit }')
    echo "${found:-http://deb.debian.org/debian$1}"
}

make_tree() {
    tools/setup/debian.sh debootstrap debian-archive-keyring
    rm -rf "$tree.new"
    mkdir -p "$tree.new"
    chmod 700 "$tree.new" # nobody else needs its setuid programs
    from=$(mirror '')
    say "making a Debian 13 in $tree from $from"
    debootstrap --variant=minbase --include="$INCLUDED" --keyring="$KEYRING" \
        "$SUITE" "$tree.new/root" "$from" >"$tree.new/log" 2>&1 || {
        say "debootstrap failed: is $from in reach, and are device files allowed in $tree?"
        tail -n 5 "$tree.new/log" >&2
        exit 1
    }
    etc=$tree.new/root/etc
    printf 'deb %s main\n' "$from $SUITE" "$from $SUITE-updates" \
        "$(mirror -security) $SUITE-security" >"$etc/apt/sources.list"
    { apt-config dump Acquire::http; apt-config dump Acquire::https; } >"$etc/apt/apt.conf.d/01host"
    # Services that are installed do not start.
    printf '#!/bin/sh\nexit 101\n' >"$tree.new/root/usr/sbin/policy-rc.d"
    chmod +x "$tree.new/root/usr/sbin/policy-rc.d"
    mv "$tree.new" "$tree"
}

# The network is reached as from here, and pip's index too.
copy_network() {
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    if [ -n "$(ls /usr/local/share/ca-certificates 2>/dev/null)" ]; then
        cp -R /usr/local/share/ca-certificates "$root/usr/local/share/"
        chroot "$root" update-ca-certificates >/dev/null 2>&1
    fi
    cp /etc/pip.conf "$root/etc/pip.conf" 2>/dev/null || true
    mkdir -p "$root/root/.config"
    cp -R "${XDG_CONFIG_HOME:-$HOME/.config}/pip" "$root/root/.config/" 2>/dev/null || true
}

# The files that git knows or would take. Those of the last time go, but the Python environment
# stays.
copy_source() {
    mkdir -p "$root$SOURCE"
    find "$root$SOURCE" -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +
    git -c safe.directory="$PWD" ls-files -z --cached --others --exclude-standard |
        xargs -0 sh -c 'for file; do [ ! -e "$file" ] || printf "%s\0" "$file"; done' sh |
        tar --create --null --files-from - |
        tar --extract --no-same-owner --directory "$root$SOURCE"
}

# In namespaces of our own by now: the tree becomes their root. In a chroot, nobody could make
# further user namespaces.
enter() {
    root=$1
    shift
    mount --make-rprivate /
    mount --bind "$root" "$root"
    cd "$root"
    mount --rbind /dev dev
    mount -t tmpfs -o mode=1777 tmpfs dev/shm
    mount -t proc proc proc
    mount --rbind /sys sys
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs -o mode=1777 tmpfs tmp
    mkdir -p run/lock run/host
    pivot_root . run/host
    umount -l /run/host
    rmdir /run/host
    cd "$SOURCE"
    if [ "$1" = --offline ]; then
        shift
        ip link set lo up
    fi
    for name in $(env | sed -n 's/^\(CI\|PIP_[A-Z_]*\|[a-zA-Z]*_proxy\|[A-Z]*_PROXY\)=.*/\1/p'); do
        eval "set -- \"$name=\$$name\" \"\$@\""
    done
    exec env -i HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

if [ "$1" = --enter ]; then
    shift
    enter "$@"
fi

[ "$(id -u)" -eq 0 ] || { say "only root can make and enter a tree of Debian 13: use sudo"; exit 1; }
tree=$1
shift
cd "${0%/*}/../.."
mkdir -p "${tree%/*}"
exec 9>"$tree.lock"
flock 9 # one run at a time
[ -d "$tree" ] || make_tree
root=$tree/root
copy_network
copy_source
network=
[ "$1" != --offline ] || network=--net
# shellcheck disable=SC2086 # an option, or nothing
exec unshare --mount --pid --fork --kill-child $network sh tools/setup/trixie.sh --enter "$root" "$@"
