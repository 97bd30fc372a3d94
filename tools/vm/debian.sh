#!/bin/sh
# Boots a Debian with systemd, polkit and a pcscd as Debian ships it, installs the workstation's
# package there, and tries what containers cannot show:
#
#     debian.sh SUITE FOLDER PACKAGE
#
# The guest is an image in memory that qemu emulates, without KVM and without a network. FOLDER keeps
# it for the next time. PACKAGE is what `make deb` has built on that release. Prints what the guest
# says; fails if it does not say at the end that all went well. Root only.
set -eu
suite=$1
folder=$2
package=$3
MEMORY_MB=4096
SECONDS_AT_MOST=3600
INCLUDED=dbus,init,kmod,libpam-systemd,opensc,openssl,pcscd,polkitd,python3,systemd,systemd-sysv,udev

case $suite in
    bookworm) python=3.11 ;;
    trixie) python=3.13 ;;
    *) echo "which Python has Debian $suite? add it to $0" >&2 && exit 2 ;;
esac

mkdir -p "$folder"
tools/vm/keystore.sh "$folder/$suite.keystore" "$python"
if ! [ -e "$folder/$suite.cpio.gz" ]; then
    [ -e "$folder/$suite.tar" ] ||
        mmdebstrap --quiet --variant=minbase --include="$INCLUDED" "$suite" "$folder/$suite.tar"
    work=$(mktemp -d "$folder/work.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    tar --extract --file "$folder/$suite.tar" --directory "$work" --exclude './dev/*'
    rm -rf "$work/var/cache/apt" "$work/var/lib/apt/lists" "$work/usr/share/locale"
    (cd "$work" && find . | cpio --create --format=newc --quiet | gzip -1) >"$folder/$suite.cpio.gz.new"
    mv "$folder/$suite.cpio.gz.new" "$folder/$suite.cpio.gz"
    rm -rf "$work"
fi
if ! [ -e "$folder/vmlinuz" ]; then
    kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ { print $2 }')
    (cd "$folder" && apt-get download --quiet "$kernel" && dpkg-deb --fsys-tarfile "$kernel"_*.deb |
        tar --extract --to-stdout --wildcards './boot/vmlinuz-*' >vmlinuz.new && mv vmlinuz.new vmlinuz)
fi

# What is new each time lies over the image: the package twice, the second time as a later version, a
# keystore, and what is to be tried.
over=$(mktemp -d "$folder/over.XXXXXX")
trap 'rm -rf "$over"' EXIT
chmod 755 "$over" # it becomes the guest's root
mkdir -p "$over/root/later" "$over/etc/systemd/system/multi-user.target.wants"
cp "$package" "$over/root/cloudcard-reader.deb"
dpkg-deb --raw-extract "$package" "$over/root/later"
sed -i 's/^Version: .*/&+later/' "$over/root/later/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$over/root/later" "$over/root/later.deb" >"$folder/log"
rm -r "$over/root/later"
mkdir "$over/opt"
cp -R "$folder/$suite.keystore/python" "$over/opt/keystore"
install -m 755 tools/vm/scenario.sh "$over/root/scenario.sh"
cp tools/vm/scenario.service "$over/etc/systemd/system/"
mkdir "$over/etc/systemd/system/serial-getty@ttyS0.service.d"
cp tools/vm/line.conf "$over/etc/systemd/system/serial-getty@ttyS0.service.d"
ln -s ../scenario.service "$over/etc/systemd/system/multi-user.target.wants/scenario.service"
(cd "$over" && find . | cpio --create --format=newc --quiet | gzip -1) >"$folder/over.cpio.gz"
cat "$folder/$suite.cpio.gz" "$folder/over.cpio.gz" >"$folder/$suite.initrd"

# No disk is looked after.
arguments="console=ttyS0 quiet panic=-1 rdinit=/lib/systemd/systemd systemd.show_status=0 systemd.default_timeout_start_sec=900"
for each in e2scrub_reap systemd-update-utmp; do
    arguments="$arguments systemd.mask=$each.service"
done
timeout "$SECONDS_AT_MOST" qemu-system-x86_64 -accel tcg -machine pc -cpu max -smp 2 -m "$MEMORY_MB" \
    -nodefaults -no-reboot -display none -serial stdio -kernel "$folder/vmlinuz" \
    -initrd "$folder/$suite.initrd" \
    -append "$arguments" </dev/null |
    stdbuf -oL tr -d '\r' | tee "$folder/$suite.log" | grep --line-buffered '^VM '
rm -f "$folder/$suite.initrd"
grep -q '^VM all went well' "$folder/$suite.log"
