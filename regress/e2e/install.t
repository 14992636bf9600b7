#!/bin/sh
# make install lays the suite out, honours DESTDIR and PREFIX, and never
# overwrites a configuration; programs find each other from any place.
. "$(dirname "$0")/suite.sh"
need make

root=$SCRATCH/root
install_it() {
	make -C "$TOP" --no-print-directory BUILD="$BUILD" "$@" \
	    DESTDIR="$root" PREFIX=/opt/mail
}
ok "make install" install_it install
for name in sbin/postmaster sbin/postctl sbin/sendmail bin/mailq bin/runq \
    bin/newaliases lib/sendmail libexec/postmaster/smtpd \
    libexec/postmaster/policyd libexec/postmaster/spoold \
    libexec/postmaster/deliver libexec/postmaster/relay; do
	ok "$name is a program" test -x "$root/opt/mail/$name"
done
is "nothing is setuid or setgid" "$(find "$root" -type f -perm /6000)" ""
ok "the configuration is there" test -s "$root/etc/postmaster.cf"
ok "a page of section 5" test -s \
    "$root/opt/mail/share/man/man5/postmaster.cf.5"
ok "a page made from the table" test -s \
    "$root/opt/mail/share/man/man7/postmaster-wire.7"
unit=$root/opt/mail/lib/systemd/system/postmaster.service
like "the unit names this place" "$(cat "$unit")" \
    '^ExecStart=/opt/mail/sbin/postmaster -D'
not_ok "the unit sets nothing that users' programs would inherit" grep -Eq \
    '^(NoNewPrivileges|RestrictSUIDSGID|ProtectHome|ProtectSystem|PrivateTmp|PrivateDevices|MemoryDenyWriteExecute|RestrictNamespaces|SystemCallFilter|CapabilityBoundingSet)=' \
    "$unit"
ok "logrotate has its file" test -s "$root/etc/logrotate.d/postmaster"
if [ "$(id -u)" = 0 ]; then
	"$root/opt/mail/sbin/postmaster" -n -f "$root/etc/postmaster.cf" \
	    >"$SCRATCH/n" 2>&1
	like "the installed configuration has no mistakes" "$?" '^[02]$'
fi

echo "# mine" >>"$root/etc/postmaster.cf"
ok "make install once more" install_it install
is "leaves the configuration alone" \
    "$(tail -n 1 "$root/etc/postmaster.cf")" "# mine"
ok "make uninstall" install_it uninstall
is "leaves but the configuration" "$(cd "$root" && find . -type f)" \
    "./etc/postmaster.cf"
done_testing
