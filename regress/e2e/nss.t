#!/bin/bash
# A directory of accounts that hangs delays those who are looked up in it, is
# a 4xx and never a 5xx, and all goes on when it answers again.
# timeout: 240
if [ "$(id -u)" = 0 ] && [ -z "$IN_NAMESPACE" ] &&
    unshare -m true 2>/dev/null; then
	IN_NAMESPACE=yes exec unshare -m "$0" "$@"
fi
. "$(dirname "$0")/suite.sh"
need_root
need python3 swaks cc
[ -n "$IN_NAMESPACE" ] || skip_all "no mount namespaces here"
module=$(ldconfig -p | sed -n 's/.*libnss_hesiod\.so\.2 .*=> //p' | head -n 1)
[ -n "$module" ] || skip_all "needs a service of accounts to put ours upon"

suite_user pmtu_file
# Our module, in this namespace only: all accounts of it hang while a file is
# there; one name is an account, the rest are not.
cat >"$SCRATCH/module.c" <<END
#include <errno.h>
#include <nss.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

enum nss_status	_nss_hesiod_getpwnam_r(const char *, struct passwd *, char *,
		    size_t, int *);

enum nss_status
_nss_hesiod_getpwnam_r(const char *name, struct passwd *pw, char *strings,
    size_t size, int *error)
{
	static char text[] = "pmtu_dir\0x\0$SCRATCH/home/pmtu_file\0/bin/sh";

	while (access("$SCRATCH/hang", F_OK) == 0)
		usleep(100000);
	if (strcmp(name, "pmtu_dir") != 0)
		return NSS_STATUS_NOTFOUND;
	if (size < sizeof(text)) {
		*error = ERANGE;
		return NSS_STATUS_TRYAGAIN;
	}
	memcpy(strings, text, sizeof(text));
	pw->pw_name = strings;
	pw->pw_passwd = pw->pw_name + strlen(pw->pw_name) + 1;
	pw->pw_gecos = pw->pw_passwd;
	pw->pw_dir = pw->pw_passwd + strlen(pw->pw_passwd) + 1;
	pw->pw_shell = pw->pw_dir + strlen(pw->pw_dir) + 1;
	pw->pw_uid = $(id -u pmtu_file);
	pw->pw_gid = $(id -g pmtu_file);
	return NSS_STATUS_SUCCESS;
}
END
cc -shared -fPIC -D_GNU_SOURCE -o "$SCRATCH/module.so" "$SCRATCH/module.c" ||
	skip_all "cannot build a module"
chmod 0755 "$SCRATCH/module.so"
sed 's/^passwd:.*/passwd: files hesiod/' /etc/nsswitch.conf \
    >"$SCRATCH/nsswitch.conf"
mount --bind "$SCRATCH/module.so" "$module" &&
    mount --bind "$SCRATCH/nsswitch.conf" /etc/nsswitch.conf ||
	skip_all "cannot mount"
getent passwd pmtu_dir >/dev/null || skip_all "our module is not asked"

suite_conf <<END
  local-mailer = maildir
[smtpd "mx"]
  listen-port = 127.0.0.1:$PORT
[route]
  @here.test  local()
END
suite_start
box=$SCRATCH/home/pmtu_file/Maildir

# The reply to RCPT, or to whatever comes before it.
rcpt_reply() {
	swaks --server 127.0.0.1 --port "$PORT" --from a@b.test --to "$1" \
	    --quit-after RCPT --timeout 60 2>&1 |
	    sed -n '/-> RCPT/{n;p;}' | sed 's/^<[-*~]* *//'
}

like "an account of the file" "$(rcpt_reply pmtu_file@here.test)" '^250 '
like "an account of the directory" "$(rcpt_reply pmtu_dir@here.test)" '^250 '
like "no account" "$(rcpt_reply nobody-has-this@here.test)" '^550 5\.1\.1 '

# deliver: policyd still knows the account, the worker has to look it up.
touch "$SCRATCH/hang"
send_to pmtu_dir@here.test directory
ok "mail for an account of the directory waits" wait_for 10 eval \
    '[ "$(queue_count)" = 1 ]'
send_to pmtu_file@here.test file
ok "mail for another is delivered meanwhile" wait_for 10 grep -rqs \
    '^Subject: file' "$box/new"
is "the first one waits still" "$(queue_count)" 1

# policyd: it hangs itself, and whoever asks it hears so in time.
begun=$(date +%s)
like "a recipient that cannot be looked up is a 451" \
    "$(rcpt_reply somebody-else@here.test)" '^451 4\.3\.0 '
ok "within the minute" test $(($(date +%s) - begun)) -lt 60
ok "the queue can be looked at" timeout 10 \
    "$STAGE/usr/bin/mailq" -C "$CF"
rm "$SCRATCH/hang"
ok "when it answers, what waited is delivered" wait_for 20 grep -rqs \
    '^Subject: directory' "$box/new"
like "and recipients are known" "$(rcpt_reply pmtu_file@here.test)" '^250 '
like "and unknown" "$(rcpt_reply nobody-has-this@here.test)" '^550 5\.1\.1 '

# A service that cannot look, and one behind it that knows of no such name.
traced_reply() {
	trace "$(suite_pids policyd)" -o "$SCRATCH/trace" -P /etc/passwd \
	    -e trace=openat -e "inject=openat:error=EMFILE:when=$1"
	rcpt_reply "$2@here.test"
	untrace
}
if command -v strace >/dev/null; then
	suite_user pmtu_late
	like "an account that is not found for want of a descriptor is a 451" \
	    "$(traced_reply 1 pmtu_late)" '^451 4\.3\.0 '
	like "whether one lacks or all do" \
	    "$(traced_reply 1+ pmtu_late)" '^451 4\.3\.0 '
	like "with them it is there" "$(rcpt_reply pmtu_late@here.test)" '^250 '
fi
is "no process had to be started afresh" \
    "$(grep -c ' ended process=' "$SCRATCH/log")" 0
done_testing
