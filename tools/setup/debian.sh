#!/bin/sh
# Installs those of the Debian packages named as arguments that are missing. Quick and silent if
# none is.
set -eu

if ! command -v apt-get >/dev/null; then
    if command -v pcscd >/dev/null || [ -x /usr/sbin/pcscd ]; then
        exit 0 # pcscd was installed by hand; `cloudcard doctor` checks the rest
    fi
    cat >&2 <<END
This system has no apt-get. Install the equivalents of these Debian packages, then run make again:
    $*
(Fedora: pcsc-lite pcsc-lite-devel opensc openssl gcc python3-devel;
 Arch: pcsclite ccid opensc openssl base-devel; on both, vpcd is built from
 https://github.com/frankmorgner/vsmartcard, folder virtualsmartcard.)
END
    exit 1
fi

missing=
for package; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "Installing from Debian:$missing"
as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "This needs root: run it as root, or install sudo." >&2; exit 1; }
    as_root=sudo
fi
# shellcheck disable=SC2086 # package names are separate words
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        -o Dpkg::Use-Pty=0 -qq $missing </dev/null
}
$as_root apt-get update -qq
install

# A pcscd that was started before vpcd was installed does not know its readers.
case " $missing " in
*" vsmartcard-vpcd "*)
    if [ -d /run/systemd/system ]; then
        $as_root systemctl try-restart pcscd.service
    elif [ -e /run/pcscd/pcscd.pid ] && [ -x /etc/init.d/pcscd ]; then
        $as_root /etc/init.d/pcscd restart
    fi
    ;;
esac

# These servers were installed only for the tests, which start them when they need them.
for server in openssh-server:ssh nginx:nginx postgresql:postgresql slapd:slapd; do
    case " $missing " in
    *" ${server%:*} "*)
        $as_root invoke-rc.d "${server#*:}" stop
        $as_root update-rc.d "${server#*:}" disable
        ;;
    esac
done
