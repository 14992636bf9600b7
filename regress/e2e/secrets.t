#!/bin/sh
# The file of secrets: who may read it, what is said of it, and that no mail
# leaves without a login that there may be.  It is heard of nowhere.
. "$(dirname "$0")/suite.sh"
need_root
need python3

smart=$(suite_port)
SECRETS=$SCRATCH/postmaster.secrets
HEARD=$SCRATCH/heard

# A smart host: it takes every login, and writes down whose mail it took.
cat >"$SCRATCH/smart.py" <<'EOF'
import base64, socketserver, sys

class Session(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line.encode() + b'\r\n')

    def handle(self):
        login = sender = '-'
        self.say('220 smart.test ESMTP')
        for line in self.rfile:
            line = line.decode().strip()
            verb = line.split(' ')[0].upper()
            if verb == 'EHLO':
                self.say('250-smart.test')
                self.say('250 AUTH PLAIN GSSAPI')
            elif verb == 'AUTH':
                word = base64.b64decode(line.split(' ')[2])
                login = '/'.join(word.decode().split('\0')[1:])
                self.say('235 2.7.0 yes')
            elif verb == 'DATA':
                self.say('354 go on')
                while self.rfile.readline() not in (b'.\r\n', b''):
                    pass
                with open(sys.argv[2], 'a') as out:
                    out.write('%s %s\n' % (sender, login))
                self.say('250 2.0.0 taken')
            elif verb == 'QUIT':
                self.say('221 bye')
                return
            else:
                if verb == 'MAIL':
                    sender = line[line.index('<') + 1:line.index('>')]
                self.say('250 2.1.0 ok')

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

Server(('127.0.0.1', int(sys.argv[1])), Session).serve_forever()
EOF
python3 "$SCRATCH/smart.py" "$smart" "$HEARD" >/dev/null 2>&1 &
SINKS="$SINKS $!"
: >"$HEARD"

write_secrets() {
	rm -rf "$SECRETS"
	cat >"$SECRETS"
	chmod 0600 "$SECRETS"
}
write_conf() {
	suite_conf <<EOF
  retry-min       = 1h
  retry-max       = 1h
$1
[relay "*"]
  auth-clear = yes
  tls        = none
[relay "open"]
  address = 127.0.0.1:$smart
  auth    = none
[relay "choosy"]
  address = 127.0.0.1:$smart
  auth    = CRAM-MD5
[relay "isp"]
  address = 127.0.0.1:$smart
[relay "mx"]
  mx      = recipient
[relay "lax"]
  address = 127.0.0.1:$smart
  tls     = required
[route]
  @open.test    open
  @choosy.test  choosy
  @call.test    relay(127.0.0.1:$smart)
  @             isp
EOF
}
check_conf() {
	"$STAGE/usr/sbin/postmaster" -n -f "$CF" >"$SCRATCH/said" 2>&1
	echo $?
}
said() {
	cat "$SCRATCH/said"
}
good() {
	write_secrets <<-EOF
	# key [sender] login password
	isp                        me     "PaSs word"
	isp     alice@here.test    alice  PaSsAlice
	isp     @here.test         all    PaSsAll
	127.0.0.1                  call   PaSsCall
	choosy                     me     PaSsChoosy
	EOF
}
mail_from() {
	printf 'Subject: x\n\nx\n' | sendmail -f "$1" "$2"
}
heard() {
	grep -Fqx -- "$1" "$HEARD"
}

# ---- what -n says

write_conf ""
is "no file is no fault" "$(check_conf)" 0
good
is "nor is a good one" "$(check_conf)" 0
not_ok "of which nothing is said" grep -q secrets "$SCRATCH/said"
write_conf "  secrets-file = $SCRATCH/other"
is "a named one that is missing is" "$(check_conf)" 2
like "and its setting is named" "$(said)" \
    "postmaster.cf:[0-9]+:[0-9]+: the secrets-file $SCRATCH/other .*No such"
ln -s "$SECRETS" "$SCRATCH/other"
is "a symbolic link is none" "$(check_conf)" 2
like "and told" "$(said)" 'other is a symbolic link'
write_conf "  secrets-file = $SECRETS"
is "a good one, named" "$(check_conf)" 0
write_conf ""
for mode in 0644 0640 0604 0610; do
	chmod $mode "$SECRETS"
	is "mode $mode is refused" "$(check_conf)" 2
	like "and why" "$(said)" "$SECRETS is open to others .*chmod"
done
chmod 0400 "$SECRETS"
is "mode 0400 is not" "$(check_conf)" 0
chown nobody "$SECRETS"
is "another's file is refused" "$(check_conf)" 2
like "and why" "$(said)" "$SECRETS does not belong to root"
as_nobody() {
	setpriv --reuid=nobody --regid=nogroup --clear-groups \
	    "$STAGE/usr/sbin/postmaster" -n -f "$CF" >"$SCRATCH/said" 2>&1
}
as_nobody
not_ok "without root one's own may be used" grep -q secrets "$SCRATCH/said"
chown daemon "$SECRETS"
as_nobody
like "another's cannot be read" "$(said)" "$SECRETS cannot be read: Perm"
rm -f "$SECRETS"
mkdir -m 0700 "$SECRETS"
is "a directory is refused" "$(check_conf)" 2
rmdir "$SECRETS"
mkfifo -m 0600 "$SECRETS"
is "a fifo is refused" "$(check_conf)" 2
like "and why" "$(said)" "$SECRETS is not a regular file"
head -c 1100000 /dev/zero | tr '\0' '#' | write_secrets
is "a huge one is refused" "$(check_conf)" 2
like "and why" "$(said)" 'larger than a megabyte'
write_secrets <<'EOF'
isp me PaSs
isp PaSsOnly
isp nosender me PaSs
unknown.test me PaSs
mx me PaSs
lax me PaSs
EOF
is "wrong lines are wrong" "$(check_conf)" 1
like "and told by line" "$(said)" "^$SECRETS:2:1: a line is: key login pass"
like "each" "$(said)" "^$SECRETS:3:1: the sender is neither"
like "a key that nothing has gets a warning" "$(said)" \
    "^$SECRETS:4:1: warning: .*neither the name of a \[relay\]"
like "and one for hosts that anybody can name" "$(said)" \
    "^$SECRETS:5:1: warning: .*nobody logs in to hosts"
like "and one for a login without a certificate" "$(said)" \
    "^$SECRETS:6:1: warning: .*whoever answers"
not_ok "but no word of them is told" grep -q PaSs "$SCRATCH/said"
write_secrets <<'EOF'
isp me PaSs
isp PaSsOnly
EOF
"$STAGE/usr/sbin/postmaster" -D -f "$CF" </dev/null \
    >"$SCRATCH/refused" 2>&1
is "the suite does not start with them" $? 1

# ---- a file that must not be used: nothing goes where a login may be

good
chmod 0644 "$SECRETS"
suite_start
ok "the log says that it is open" wait_for_log 5 \
    "complaint=.*$SECRETS is open to others"
mail_from bob@else.test a@isp.test
mail_from bob@else.test a@call.test
mail_from bob@else.test a@open.test
ok "a [relay]'s mail waits" wait_for_log 10 \
    'deferred .*to=a@isp\.test .*4\.3\.5.*secrets cannot be used'
ok "a host's mail, too" wait_for_log 10 \
    'deferred .*to=a@call\.test .*secrets cannot be used'
ok "where auth = none it goes" wait_for 10 heard "bob@else.test -"
is "nothing else was heard" "$(wc -l <"$HEARD")" 1

# ---- a good one, by a reload

chmod 0600 "$SECRETS"
suite_reload
: >"$HEARD"
postctl run all >/dev/null
ok "what waited goes with its login" wait_for 10 \
    heard "bob@else.test me/PaSs word"
ok "the host's with its own" wait_for 10 heard "bob@else.test call/PaSsCall"
mail_from alice@here.test a@isp.test
ok "a sender's own login" wait_for 10 heard "alice@here.test alice/PaSsAlice"
mail_from carol@here.test a@isp.test
ok "a domain's login" wait_for 10 heard "carol@here.test all/PaSsAll"
mail_from alice@here.test a@call.test
ok "a host without one for the sender" wait_for 10 \
    heard "alice@here.test call/PaSsCall"
mail_from bob@else.test a@choosy.test
ok "no mechanism that may be used: it waits" wait_for_log 10 \
    'deferred .*to=a@choosy\.test .*offers only PLAIN GSSAPI'
is "each with its own login only" "$(sort -u "$HEARD" | wc -l)" 5

# ---- a relay that dies has them again; another password

suite_kill relay
wait_for_log 10 'started process=relay .*'
mail_from dave@else.test a@isp.test
ok "after a relay has died" wait_for 20 heard "dave@else.test me/PaSs word"
echo 'isp me NewPaSs' | write_secrets
suite_reload
mail_from erin@else.test a@isp.test
ok "another password" wait_for 10 heard "erin@else.test me/NewPaSs"
echo 'broken' | write_secrets
kill -HUP "$MAIN"
ok "a broken file is refused by a reload" wait_for_log 10 \
    'the old configuration stays'
mail_from frank@else.test a@isp.test
ok "which changes nothing" wait_for 10 heard "frank@else.test me/NewPaSs"

# ---- nobody hears of them

mail_from bob@else.test b@choosy.test
postctl list >"$SCRATCH/shown" 2>&1
mailq >>"$SCRATCH/shown" 2>&1
for id in $(mailq | awk '/choosy|bob@/ { print $1 }' | tr -d '*!'); do
	postctl show "$id" >>"$SCRATCH/shown" 2>&1
done
not_ok "no log holds a password" grep -q PaSs "$SCRATCH/log"
not_ok "nor does anything for operators" grep -q PaSs "$SCRATCH/shown"
not_ok "nor the spool" grep -rq PaSs "$SCRATCH/spool"
for relay in $(suite_pids relay); do
	for fd in /proc/$relay/fd/*; do
		readlink "$fd"
	done
done >"$SCRATCH/fds"
not_ok "no relay keeps the file open" grep -q secrets "$SCRATCH/fds"
done_testing
