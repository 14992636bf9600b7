#!/bin/sh
# etc/become-mta, in a copy of this machine that vanishes with the test:
# names of another MTA are diverted, ours take their place, -r undoes it.
. "$(dirname "$0")/suite.sh"
need_root
need unshare chroot dpkg-divert make

# In a mount namespace of its own: what runs in it writes to a layer above /.
cat >"$SCRATCH/inside" <<END
mount -t tmpfs tmpfs "$SCRATCH/layer" &&
mkdir "$SCRATCH/layer/up" "$SCRATCH/layer/work" "$SCRATCH/layer/root" &&
mount -t overlay overlay "$SCRATCH/layer/root" -o \
    "lowerdir=/,upperdir=$SCRATCH/layer/up,workdir=$SCRATCH/layer/work" &&
mount --rbind /proc "$SCRATCH/layer/root/proc" &&
mount --rbind /dev "$SCRATCH/layer/root/dev" &&
chroot "$SCRATCH/layer/root" sh -c "\$1"
END
mkdir "$SCRATCH/layer"
inside() {
	unshare --mount sh "$SCRATCH/inside" "$1"
}
inside true 2>/dev/null || skip_all "cannot lay a copy over /"

names="/usr/sbin/sendmail /usr/sbin/runq /usr/sbin/rmail /usr/lib/sendmail"
names="$names /usr/bin/mailq /usr/bin/newaliases"
cat >"$SCRATCH/script" <<END
show() {
	for name in $names; do
		echo "\$1 \$name \$(readlink "\$name" || head -n 1 "\$name" \
		    2>/dev/null || echo none)"
	done
}
cp -a "$STAGE/usr/." /usr/local/
[ -e /etc/postmaster.cf ] || cp "$STAGE/etc/postmaster.cf" /etc/
rm -f $names
cp /bin/false /usr/sbin/exim4
ln -s exim4 /usr/sbin/sendmail
ln -s ../sbin/exim4 /usr/lib/sendmail
ln -s ../sbin/exim4 /usr/bin/mailq
show before
PREFIX=/nonexistent "$TOP/etc/become-mta"; echo "nowhere \$?"
"$TOP/etc/become-mta"; echo "become \$?"
show after
"$TOP/etc/become-mta"; echo "again \$?"
show twice
ls -l /usr/sbin/sendmail.other-mta /usr/bin/mailq.other-mta | wc -l
echo hello | timeout 10 /usr/sbin/sendmail -bv root; echo "ours \$?"
"$TOP/etc/become-mta" -r; echo "undo \$?"
show undone
dpkg-divert --list | grep -c other-mta
END
out=$(inside ". $SCRATCH/script" 2>&1)
diag "$out"
line() {
	echo "$out" | grep "^$1 " | sed "s/^${1%% *} //"
}
is "what is not installed takes no place" "$(line nowhere)" 1
like "and that is said" "$out" '^become-mta: .* is not installed; make install'
is "it succeeds" "$(line become)" 0
for pair in /usr/sbin/sendmail:sbin/sendmail /usr/sbin/runq:bin/runq \
    /usr/sbin/rmail:sbin/rmail /usr/lib/sendmail:sbin/sendmail \
    /usr/bin/mailq:bin/mailq /usr/bin/newaliases:bin/newaliases; do
	is "${pair%:*} is ours" "$(line "after ${pair%:*}")" \
	    "${pair%:*} /usr/local/${pair#*:}"
done
is "twice is no harm: exit code" "$(line again)" 0
is "nor to the names" "$(line twice)" "$(line after)"
is "the others are kept" "$(echo "$out" | grep -cx 2)" 1
is "-r succeeds" "$(line undo)" 0
is "and all is as it was" "$(line undone)" "$(line before)"
is "no diversion is left" "$(echo "$out" | tail -n 1)" 0

# Where ours are installed under the system's own names, nothing is diverted.
cat >"$SCRATCH/script" <<END
cp -a "$STAGE/usr/." /usr/
[ -e /etc/postmaster.cf ] || cp "$STAGE/etc/postmaster.cf" /etc/
PREFIX=/usr "$TOP/etc/become-mta"; echo "become \$?"
for name in $names; do
	"\$name" -C /nonexistent -bt </dev/null >/dev/null 2>&1
	[ \$? -ge 126 ] && echo "broken \$name"
done
file=/usr/sbin/sendmail
[ -f \$file ] && [ ! -h \$file ] && echo "moved no"
END
out=$(inside ". $SCRATCH/script" 2>&1)
diag "$out"
is "PREFIX=/usr: it succeeds" "$(line become)" 0
is "every name runs" "$(line broken)" ""
is "ours are not moved away" "$(line moved)" no

# ---- make install on the system itself

cat >"$SCRATCH/script" <<END
for account in _smtpd _policyd _spoold _relay _maild; do
	userdel -f \$account >/dev/null 2>&1
done
rm -f /etc/aliases
make -C "$TOP" -s BUILD="$BUILD" install >/dev/null && echo "made \$?"
grep '^postmaster:' /etc/aliases
echo "# mine" >>/etc/aliases
make -C "$TOP" -s BUILD="$BUILD" install >/dev/null && echo "made \$?"
tail -n 1 /etc/aliases
for account in _smtpd _policyd _spoold _relay _maild; do
	getent passwd \$account | cut -d: -f1,7
done
END
out=$(inside ". $SCRATCH/script" 2>&1)
diag "$out"
is "make install, twice" "$(line made | tr '\n' ' ')" "0 0 "
like "writes the aliases" "$out" '^postmaster:[[:space:]]*root$'
like "and leaves those that are there" "$out" '^# mine$'
is "it makes the accounts, and none may log in" \
    "$(echo "$out" | grep -c '^_[a-z]*:/usr/sbin/nologin$')" 5
done_testing
