#!/bin/bash
# What `make vm` tries inside a guest, as its root. Each line for the host begins with "VM ".
set -u
failed=0
. /etc/os-release

# What is asked of a card that may not be reached: its ATR is told without a connection to it.
DISCOVERY=00CB3FFF035C017E00

say() { echo "VM $(cut -d' ' -f1 /proc/uptime) $*"; }

# What is tried, then a command that must succeed.
holds() {
    local what=$1
    shift
    if "$@" >/root/said 2>&1; then
        say "yes: $what"
    else
        failed=1
        say "NO:  $what"
        sed 's/^/VM      /' /root/said
    fi
}

refused() { ! "$@"; }

# A command of a user who has no session.
as() {
    local user=$1
    shift
    setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups env HOME="/home/$user" "$@"
}

# A command of a user with an active session at this computer's screen, which logind knows of.
at_the_screen() {
    local user=$1 terminal=$2
    shift 2
    systemd-run --quiet --collect --wait --unit="session-of-$user" --uid="$user" -p PAMName=login \
        -p TTYPath="/dev/$terminal" -p StandardInput=tty-force -p StandardOutput=file:/root/output-of-"$user" \
        -p StandardError=inherit -p WorkingDirectory="/home/$user" --setenv=XDG_SEAT=seat0 \
        --setenv=XDG_VTNR="${terminal#tty}" --setenv=XDG_SESSION_TYPE=tty bash -c "$*"
    local status=$?
    cat /root/output-of-"$user"
    return $status
}

# A local card of a user, who is a member of the group, in a slot.
insert() {
    local user=$1 slot=$2
    # shellcheck disable=SC2016 # for the shell that becomes the reader
    as "$user" sh -c 'echo $$ >~/pid; exec cloudcard reader --local --algorithm p256 --slot "$1"' - \
        "$slot" >"/root/reader-$user" 2>&1 &
    holder[slot]=$user
    for _ in $(seq 300); do
        grep -q 'is in the reader' "/root/reader-$user" && return 0
        sleep 0.2
    done
    cat "/root/reader-$user"
    return 1
}
declare -a holder

remove() { kill "$(cat "/home/${holder[$1]}/pid")"; }

cat >/usr/local/bin/sign-in-slot <<'X'
#!/bin/bash
# Signs with the local card in a slot, and verifies the signature.
set -e
folder=$(mktemp -d)
cd "$folder"
echo text >letter
slot=$(pkcs11-tool --list-slots | sed -n "s/^Slot \([0-9]*\) .*: Cloudcard $1 .*/\1/p")
tool="pkcs11-tool --slot-index $slot"
$tool --login --pin 123456 --sign --id 01 --mechanism ECDSA-SHA256 --signature-format openssl \
    --input-file letter --output-file letter.sig
$tool --read-object --type cert --id 01 --output-file own.der
openssl x509 -inform der -in own.der -pubkey -noout >own.pem
openssl dgst -sha256 -verify own.pem -signature letter.sig letter
X
chmod 755 /usr/local/bin/sign-in-slot

# Keystore, registration authority and phone, all of root's, beside the package that is tried.
cloud() { PYTHONPATH=/opt/keystore CLOUDCARD_HOME=/root/cloud python3 -P -m cloudcard_tools "$@"; }

# The value of a field, in what is printed with --json.
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

# Waits until a line of a file has the words, and prints the line.
line_with() {
    for _ in $(seq 900); do
        grep -m 1 -e "$2" "$1" 2>/dev/null && return 0
        sleep 0.2
    done
    cat "$1"
    return 1
}

# A keystore, Ada with a phone and a card, and this computer as her workstation.
enrol() {
    local user
    cloud serve --workers 1 >/root/keystore.log 2>&1 &
    line_with /root/keystore.log 'Keystore ready' &&
        cloud ra enrol --token-file /root/cloud/keystore/operator.token &&
        user=$(cloud ra user add "Ada Byron" --email ada@example.org --json) &&
        cloud authenticator enrol "$(field token <<<"$user")" --name "Ada's phone" &&
        serial=$(cloud ra card issue "$(field id <<<"$user")" --profile p256 --json | field serial) &&
        cloud authenticator passcode "$serial" --passcode-stdin <<<246813 &&
        as ada cloudcard reader enrol "$(cloud ra workstation add WARD7-PC3 --json | field token)"
}

# Waits until a command succeeds, and prints what it printed.
soon() {
    for _ in $(seq 900); do
        "$@" 2>/dev/null && return 0
        sleep 0.2
    done
    "$@"
}

# Ada's agent, which systemd starts when she logs in at the screen, and her card, for which she scans
# the code that the agent shows.
sign_in() {
    local settings=/home/ada/.config/cloudcard
    as ada mkdir -p $settings
    printf '%s\n' 'slot = 1' 'prompt = "file:/home/ada/prompt"' >$settings/reader.toml
    at_the_screen ada tty1 'sleep infinity' &
    local shown
    shown=$(soon cat /home/ada/prompt) &&
        cloud authenticator scan "$(python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["qr"])' <<<"$shown")" --yes &&
        soon test -e /run/cloudcard/owner.1 && as ada opensc-tool --list-readers
}

# Locks the screen of Ada's session, and prints how long her card stays; at most two seconds.
lock() {
    local session
    session=$(loginctl list-sessions --no-legend | awk '$3 == "ada" && $4 == "seat0" { print $1 }')
    local begun=$EPOCHREALTIME
    loginctl lock-session "$session" || return
    while [ -e /run/cloudcard/owner.1 ]; do sleep 0.02; done
    python3 -c "took = $EPOCHREALTIME - $begun; print(f'{took:.1f} s'); exit(took > 2)"
}

say "$PRETTY_NAME has started"
holds "systemd runs" test -d /run/systemd/system
useradd --create-home --uid 1000 ada
useradd --create-home --uid 1001 bo
useradd --create-home --uid 1002 mallory
groupadd --system cloudcard
# A user of a domain: Linux' own files take such a number as well.
echo 'dom:x:1234500017:1001::/home/dom:/bin/bash' >>/etc/passwd
install -d -o 1234500017 -g 1001 /home/dom
for user in ada bo dom; do
    sed -i "s/^\(cloudcard:.*:\)\(.*[^,]\)\?$/\1\2,$user/; s/:,/:/" /etc/group
done

systemctl start pcscd.service
holds "the package is installed while pcscd runs" dpkg --install /root/cloudcard-reader.deb
holds "pcscd was restarted and has the drop-in" \
    sh -c 'systemctl show pcscd -p DropInPaths | grep -q cloudcard.conf'
# Debian's pcscd ends when nobody has asked it for a minute, and systemd starts it for the next one.
holds "the socket is there, in pcscd's sandbox" sh -c 'opensc-tool --list-readers;
    for i in $(seq 100); do [ -S /run/cloudcard/reader.sock ] && exit 0; sleep 0.2; done; exit 1'
holds "uid 1000 puts a card in" insert ada 0
holds "uid 1234500017 puts a card in" insert dom 1
holds "its owner is written down" grep -qx 1234500017 /run/cloudcard/owner.1
holds "uid 1000 signs" as ada sign-in-slot 0
holds "uid 1234500017 signs" as dom sign-in-slot 1
holds "root signs" sign-in-slot 0
holds "a stranger without a session puts no card in" \
    refused timeout 20 setpriv --reuid=mallory --regid=1002 --clear-groups cloudcard reader --local --algorithm p256
if [ "$VERSION_ID" -ge 13 ]; then
    holds "a stranger without a session does not reach pcscd" refused as mallory opensc-tool -r 0 -s $DISCOVERY
    holds "bo does not reach ada's card" refused as bo opensc-tool -r 'Cloudcard 0 00 00' -s $DISCOVERY
    holds "ada does not reach dom's card" refused as ada opensc-tool -r 'Cloudcard 1 01 00' -s $DISCOVERY
    holds "a stranger at the screen does not reach ada's card" \
        refused at_the_screen mallory tty1 "opensc-tool -r 'Cloudcard 0 00 00' -s $DISCOVERY"
    holds "ada reaches her own" as ada opensc-tool -r 'Cloudcard 0 00 00' -s $DISCOVERY
else
    say "as documented: pcscd of Debian 12 lets mallory reach ada's card:" \
        "$(as mallory opensc-tool -r 'Cloudcard 0 00 00' -s $DISCOVERY 2>&1 | tail -n 1)"
fi
remove 1
holds "the owner is gone with the card" sh -c \
    'for i in $(seq 100); do [ -e /run/cloudcard/owner.1 ] || exit 0; sleep 0.2; done; exit 1'
holds "a keystore, a phone and this workstation are enrolled" enrol
holds "systemd starts ada's agent with her session, and she signs in by scanning its code" sign_in
holds "loginctl lock-session takes the card out within two seconds" lock
say "    after $(tail -n 1 /root/said)"
holds "applications see that it is out" sh -c "opensc-tool --list-readers | grep -q ' No .*Cloudcard 1'"
systemctl stop session-of-ada

echo '# Of the administrator.' >>/etc/reader.conf.d/cloudcard
holds "the package is upgraded" dpkg --install /root/later.deb
holds "what the administrator has changed stays" grep -q administrator /etc/reader.conf.d/cloudcard
holds "ada's agent has found the new pcscd, and she signs" sh -c \
    'for i in $(seq 60); do setpriv --reuid=ada --regid=1000 --init-groups sign-in-slot 0 && exit 0; sleep 1; done; exit 1'
remove 0
holds "the package is purged" dpkg --purge cloudcard-reader
holds "nothing of it is left" sh -c '! find / -xdev -name "*cloudcard*" -not -path "/proc/*" \
    -not -path "/sys/*" -not -path "/opt/*" -not -path "/root/*" -not -path "/var/lib/dpkg/*" -not -path "/home/*" | grep .'
holds "pcscd runs without it" sh -c 'systemctl restart pcscd && systemctl is-active pcscd'

if [ "$failed" = 0 ]; then echo "VM all went well"; else echo "VM something failed"; fi
