#!/bin/sh
# Levels of TLS against Postfix, Exim, servers without it and servers that
# only pretend to have it.
. "$(dirname "$0")/suite.sh"
. "$(dirname "$0")/peers.sh"
need_root
need_unpacked postfix
need_unpacked exim4-daemon-light
need_accounts
need python3 perl

peer_ca good
peer_ca other
peer_certificate postfix good postfix.test '*.wild.test'
peer_certificate exim good exim.test
implicit=$(suite_port)
bad=$(suite_port)
clear=$(suite_port)
POSTFIX_ADDRESS=127.0.0.1
postfix_smtpd "$implicit" smtpd_tls_wrappermode=yes \
    syslog_name=postfix/implicit >"$SCRATCH/implicit.cf"
postfix_start "" "$SCRATCH/implicit.cf" || skip_all "no Postfix"
exim_start || skip_all "no Exim"
sink_start clear 127.0.0.1 "$clear"
python=$(dirname "$0")/hostile.py
python3 "$python" serve "$bad" "$SCRATCH/took" "$TLS/postfix.pem" \
    2>"$SCRATCH/hostile.stderr" &
PEERS="$PEERS $!"
wait_for 10 grep -q ready "$SCRATCH/took"
bad_host() {
	python3 "$python" routes "$bad" none |
	    sed -n "s/.*@$1\.test.*relay(\(.*\), none)/\1/p"
}
section() {
	local name="$1" address="$2"
	shift 2
	printf '[relay "%s"]\n  address = %s\n' "$name" "$address"
	printf '  %s\n' "$@"
}

postfix=127.0.0.1:$POSTFIX_PORT
suite_conf <<EOF
  retry-min       = 1h
  retry-max       = 1h
[smtpd "mx"]
  listen-port     = 127.0.0.1:$PORT
[relay "*"]
  tls-ca-file     = $TLS/good.pem
$(section none "$postfix" "name = postfix.test" "tls = none")
$(section unset "$postfix" "name = other.test")
$(section opportunistic "$postfix" "name = other.test" "tls = opportunistic")
$(section required "$postfix" "name = other.test" "tls = required")
$(section verified "$postfix" "name = postfix.test" "tls = verified")
$(section wildcard "$postfix" "name = a.wild.test" "tls = verified")
$(section too-wild "$postfix" "name = a.b.wild.test" "tls = verified")
$(section other-name "$postfix" "name = other.test" "tls = verified")
$(section more-names "$postfix" "name = other.test" "tls = verified" \
    "tls-names = third.test postfix.test")
$(section other-ca "$postfix" "name = postfix.test" "tls = verified" \
    "tls-ca-file = $TLS/other.pem")
$(section again "$postfix" "name = postfix.test" "tls = verified" \
    "max-messages = 1" "max-connections = 1")
$(section implicit "127.0.0.1:$implicit" "name = postfix.test" \
    "tls = verified" "tls-implicit = yes")
$(section implicit-not "127.0.0.1:$implicit" "name = other.test" \
    "tls-implicit = yes" "tls = verified")
$(section exim "127.0.0.1:$EXIM_PORT" "name = exim.test" "tls = verified")
$(section clear "127.0.0.1:$clear" "name = clear.test")
$(section clear-required "127.0.0.1:$clear" "name = clear.test" \
    "tls = required")
$(section clear-verified "127.0.0.1:$clear" "name = clear.test" \
    "tls = verified")
$(section garbage "$(bad_host tls-garbage)" "name = garbage.test")
$(section garbage-required "$(bad_host tls-garbage)" "name = garbage.test" \
    "tls = required")
$(section refused "$(bad_host tls-refused)" "name = refused.test")
$(section refused-required "$(bad_host tls-refused)" "name = refused.test" \
    "tls = required")
$(section injection "$(bad_host tls-injection)" "name = injection.test")
$(section injection-required "$(bad_host tls-injection)" \
    "name = injection.test" "tls = required")
[route]
  @client.test  discard()
$(for name in none unset opportunistic required verified wildcard too-wild \
    other-name more-names other-ca again implicit implicit-not exim clear \
    clear-required clear-verified garbage garbage-required refused \
    refused-required injection injection-required; do
	echo "  @$name.test  $name"
done)
EOF
ok "postmaster -n is content" "$STAGE/usr/sbin/postmaster" -n -f "$CF"
suite_start
ok "a message by each" post me@client.test \
    $(sed -n 's/^  @\([a-z-]*\.test\)  [a-z-]*$/x@\1/p' "$CF")
secret='tls="TLSv1\.3 [^"]*'

becomes "none: in clear" x@none.test 'relayed .*tls=none'
becomes "nothing said: TLS, with whomever" x@unset.test \
    "relayed .*$secret unverified"
becomes "opportunistic: the same" x@opportunistic.test \
    "relayed .*$secret unverified"
becomes "required: the same" x@required.test "relayed .*$secret unverified"
becomes "verified: by name" x@verified.test "relayed .*$secret verified"
becomes "by a name with a star" x@wildcard.test "relayed .*$secret verified"
becomes "which stands for one label" x@too-wild.test \
    'deferred .*status=4\.7\.'
becomes "not by another name" x@other-name.test 'deferred .*status=4\.7\.'
like "and says so" "$(show_of x@other-name.test)" 'certificate.*other\.test'
becomes "unless the route takes that name" x@more-names.test \
    "relayed .*$secret verified"
becomes "not by another authority" x@other-ca.test \
    'deferred .*status=4\.7\..*[Cc]ertificate'
becomes "TLS from the first octet" x@implicit.test \
    "relayed .*$secret verified"
becomes "with the same proof" x@implicit-not.test 'deferred .*status=4\.7\.'
becomes "Exim, with GnuTLS" x@exim.test "relayed .*$secret verified"
like "heard the name that we want" "$(cat "$EXIM_LOG")" 'SNI="?exim\.test'
like "and that was TLS to Postfix, too" "$(cat "$POSTFIX_LOG")" \
    'TLS connection established from .*TLSv1\.3'

# ---- those without TLS, or with a bad one

becomes "not offered: in clear" x@clear.test 'relayed .*tls=none'
becomes "required, not offered: it waits" x@clear-required.test \
    'deferred .*status=4\.7\.'
like "and says so" "$(show_of x@clear-required.test)" 'STARTTLS'
becomes "verified, not offered: it waits" x@clear-verified.test \
    'deferred .*status=4\.7\.'
is "only one message went in clear" "$(sink_count clear 'X-Mail-Args')" 1
becomes "the handshake fails: in clear, on a new connection" \
    x@garbage.test 'relayed .*tls=none'
is "once" "$(grep -c '^tls-garbage took x@garbage.test$' "$SCRATCH/took")" 1
becomes "required, and the handshake fails: it waits" \
    x@garbage-required.test 'deferred .*TLS'
becomes "STARTTLS refused: in clear" x@refused.test 'relayed .*tls=none'
becomes "required, and refused: it waits" x@refused-required.test \
    'deferred .*(454|TLS)'

# ---- what comes after the answer to STARTTLS, but before TLS

becomes "words injected behind STARTTLS: that connection ends" \
    x@injection-required.test 'deferred '
becomes "whatever the level" x@injection.test '(deferred|relayed .*tls=none)'
is "nobody went on there" "$(grep WRONG "$SCRATCH/took")" ""
not_ok "and nothing was delivered by TLS to it" \
    grep -Eq "relayed .*to=x@injection.*$secret" "$SCRATCH/log"

# ---- sessions

for n in 1 2 3; do
	post me@client.test "x$n@again.test"
	wait_for 10 has_outcome "x$n@again.test"
done
is "three connections for three messages" \
    "$(grep -Ec "relayed .*to=x[123]@again.*$secret verified" \
    "$SCRATCH/log")" 3
like "a session is resumed" "$(outcome_of x3@again.test)" "$secret.*resumed"
not_ok "but not from one route to another that asks for less" \
    grep -Eq 'relayed .*to=x@(unset|required).*resumed' "$SCRATCH/log"
done_testing
