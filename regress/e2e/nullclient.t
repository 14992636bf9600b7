#!/bin/sh
# The README's machine without a mail server of its own: mail of its programs
# goes through a smart host, with login, by TLS, and only if the smart host is
# who it should be.
. "$(dirname "$0")/suite.sh"
. "$(dirname "$0")/dns.sh"
. "$(dirname "$0")/peers.sh"
need_root
need_unpacked postfix
need_dns
need_accounts
need /usr/sbin/dovecot perl

peer_ca good
peer_ca other
peer_certificate postfix good smtp.provider.test login.provider.test
peer_certificate stranger other smtp.provider.test
peer_certificate expired good expired smtp.provider.test
stranger=$(suite_port)
expired=$(suite_port)
clear=$(suite_port)
POSTFIX_ADDRESS=127.0.0.1
cat >"$SCRATCH/login.cf" <<EOF
$(postfix_smtpd "$stranger" smtpd_sasl_auth_enable=yes \
    smtpd_tls_chain_files="$TLS/stranger.pem" syslog_name=postfix/stranger)
$(postfix_smtpd "$expired" smtpd_sasl_auth_enable=yes \
    smtpd_tls_chain_files="$TLS/expired.pem" syslog_name=postfix/expired)
$(postfix_smtpd "$clear" smtpd_sasl_auth_enable=yes \
    smtpd_tls_security_level=none smtpd_tls_auth_only=no \
    syslog_name=postfix/clear)
EOF
dovecot_start && postfix_start "" "$SCRATCH/login.cf" || skip_all "no peers"
dns_zone provider.test <<EOF
smtp		A 127.0.0.1
wrong		A 127.0.0.1
login		A 127.0.0.1
clear		A 127.0.0.1
EOF
dns_start

# What the README shows, and where else the test has its files and peers.
echo 'root: admin@provider.test' >"$SCRATCH/aliases"
cat >"$SCRATCH/postmaster.secrets" <<EOF
smtp.provider.test   peer  "pass word"
wrong.provider.test  peer  "pass word"
login.provider.test  peer  "no pass word"
clear.provider.test  peer  "pass word"
careless             peer  "pass word"
EOF
chmod 0600 "$SCRATCH/postmaster.secrets"
suite_conf <<EOF
  resolver        = $DNS_SERVER
  retry-min       = 1h
  retry-max       = 1h
[relay "*"]
  tls-ca-file     = $TLS/good.pem
[relay "careless"]
  address         = 127.0.0.1:$clear
  tls             = none
[route]
  @careless.test     careless
  @wrong-name.test   relay(wrong.provider.test:$POSTFIX_LOGIN)
  @wrong-ca.test     relay(smtp.provider.test:$stranger)
  @expired.test      relay(smtp.provider.test:$expired)
  @wrong-login.test  relay(login.provider.test:$POSTFIX_LOGIN)
  @clear.test        relay(clear.provider.test:$clear)
  @  relay(smtp.provider.test:$POSTFIX_LOGIN)
EOF
ok "postmaster -n is content" "$STAGE/usr/sbin/postmaster" -n -f "$CF"
sed -n '/^Null client/,/^To the world/s/^    //p' "$TOP/README" |
    sed -n '/^\[core\]/,/relay(/p' >"$SCRATCH/readme.cf"
ok "so it is with what the README has" "$STAGE/usr/sbin/postmaster" -n \
    -f "$SCRATCH/readme.cf"
is "which is three lines" "$(grep -c '^  ' "$SCRATCH/readme.cf")" 3
sed 's/# \(hostname *= \).*/\1pc.test/; s/# \(@ *relay(.\)/\1/' \
    "$TOP/etc/postmaster.cf" | sed '/relay()/d' >"$SCRATCH/sample.cf"
is "the sample has two of them behind a #" "$(diff "$TOP/etc/postmaster.cf" \
    "$SCRATCH/sample.cf" | grep -c '^> ')" 2
ok "and is sound without it" "$STAGE/usr/sbin/postmaster" -n \
    -f "$SCRATCH/sample.cf"
suite_start
mail_to() {
	printf 'Subject: for %s\n\ntext\n' "$1" | sendmail "$1"
}
for name in wrong-name wrong-ca expired wrong-login clear careless; do
	mail_to "me@$name.test"
done

ok "echo x | sendmail root" sh -c 'echo x | "$0" -C "$1" root' "$SENDMAIL" \
    "$CF"
becomes "goes" root@mx.test 'relayed .*status=2\.0\.0'
line=$(outcome_of root@mx.test)
like "to the smart host" "$line" \
    "relay=smtp\.provider\.test\[127\.0\.0\.1\]:$POSTFIX_LOGIN"
like "whose certificate was verified" "$line" 'tls="?TLSv1\.3 .*verified'
ok "and is there" wait_for_peer_mail 10 "$POSTFIX_MAIL" \
    '^X-Original-To: admin@provider.test'
received=$(cat $(grep -lr 'To: admin@provider.test' "$POSTFIX_MAIL") |
    sed -n '/^Received:.*mx\.test/,/^Received:.*mx\.test/p')
like "by TLS" "$received" 'using TLSv1\.3'
like "with login" "$received" 'Authenticated sender: peer'
like "the best way that is offered" "$(cat "$POSTFIX_LOG")" \
    'login/smtpd.*sasl_method=SCRAM-SHA-256, sasl_username=peer'
like "our name is the host's" "$received" 'from mx\.test '

# ---- who is not the smart host gets nothing

becomes "a certificate for another name: the mail waits" me@wrong-name.test \
    'deferred .*status=4\.7\.'
show=$(show_of me@wrong-name.test)
like "postctl show names the certificate" "$show" '[Cc]ertificate'
like "and the name that was wanted" "$show" 'wrong\.provider\.test'
becomes "one of an unknown authority: it waits" me@wrong-ca.test \
    'deferred .*status=4\.7\.'
like "and says so" "$(show_of me@wrong-ca.test)" '[Cc]ertificate'
becomes "one that has expired: it waits" me@expired.test \
    'deferred .*status=4\.7\.'
like "and says so" "$(show_of me@expired.test)" 'certificate.*expired'
not_ok "none of them was told the login" \
    grep -Eq 'postfix/(stranger|expired)/smtpd.* auth=' "$POSTFIX_LOG"
becomes "a wrong password: it waits" me@wrong-login.test \
    'deferred .*status=4\.7\.'
show=$(show_of me@wrong-login.test)
like "postctl show says that the login was refused" "$show" 'login'
like "and how" "$show" '535'
becomes "a host without TLS: it waits" me@clear.test 'deferred '
like "and says why" "$(show_of me@clear.test)" 'TLS'
like "the host heard of us" "$(cat "$POSTFIX_LOG")" \
    'postfix/clear/smtpd.*connect from'
becomes "a route that wants no TLS, but has a login: it waits" \
    me@careless.test 'deferred .*auth-clear'
not_ok "but nothing of login or mail" \
    grep -Eq 'postfix/clear/smtpd.*(auth|mail)=' "$POSTFIX_LOG"
is "nothing of all this arrived" \
    "$(peer_mail "$POSTFIX_MAIL" 'Subject: for me@')" 0

# ---- nothing listens

cat >"$SCRATCH/listeners.pl" <<'EOF'
my %mine;
for my $pid (@ARGV) {
	for my $link (glob("/proc/$pid/fd/*")) {
		my $to = readlink($link) // '';
		$mine{$1} = 1 if $to =~ /^socket:\[(\d+)\]/;
	}
}
for my $file ('/proc/net/tcp', '/proc/net/tcp6') {
	open(my $in, '<', $file) or next;
	while (<$in>) {
		my @field = split;
		print "$field[1]\n" if $field[3] eq '0A' && $mine{$field[9]};
	}
}
EOF
is "no process of the suite listens on TCP" "$(perl "$SCRATCH/listeners.pl" \
    "$MAIN" $(pgrep -P "$MAIN"))" ""

# ---- another password

sed -i 's/"no pass word"/"pass word"/' "$SCRATCH/postmaster.secrets"
old=$(suite_pids relay)
only_new() {
	local pid
	for pid in $old; do
		suite_gone "$pid" || return 1
	done
}
ok "with the right password, and a reload" suite_reload
wait_for 10 only_new
ok "what waited" postctl run all
ok "goes" wait_for_log 15 'relayed .*to=me@wrong-login\.test'
is "and nothing else" "$(grep -c ' relayed ' "$SCRATCH/log")" 2
done_testing
