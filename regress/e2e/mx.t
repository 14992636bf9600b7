#!/bin/sh
# Mail exchangers out of a real DNS: which hosts, in which order, and what
# becomes of mail where there are none.
. "$(dirname "$0")/suite.sh"
. "$(dirname "$0")/dns.sh"
. "$(dirname "$0")/peers.sh"
need_root
need_unpacked postfix
need_dns
need perl

peer=$(suite_port)
for n in 11 12 13 14; do
	sink_start "host$n" "127.0.0.$n" "$peer" -h "host$n.test"
done
dns_zone hosts.test <<EOF
a		A 127.0.0.11
b		A 127.0.0.12
c		A 127.0.0.13
d		A 127.0.0.14
dead		A 127.0.0.20
both		A 127.0.0.20
both		A 127.0.0.12
alias		CNAME a
private		A 10.255.255.1
local		A 127.0.0.1
none		TXT "no address"
EOF
dns_zone world.test <<EOF
@		A 127.0.0.11
two		MX 10 dead.hosts.test.
two		MX 20 b.hosts.test.
later		MX 20 a.hosts.test.
later		MX 10 b.hosts.test.
*.equal		MX 10 a.hosts.test.
*.equal		MX 10 b.hosts.test.
implicit	A 127.0.0.12
null		MX 0 .
empty		TXT "neither MX nor A"
alias		CNAME implicit
mxalias		MX 10 alias.hosts.test.
multi		MX 10 both.hosts.test.
us		MX 10 mx.test.
us		MX 20 a.hosts.test.
usafter		MX 10 a.hosts.test.
usafter		MX 20 mx.test.
nohost		MX 10 no-such.hosts.test.
nohost2		MX 10 no-such.hosts.test.
nohost2		MX 20 a.hosts.test.
shared1		MX 10 c.hosts.test.
shared2		MX 10 c.hosts.test.
shared3		MX 10 c.hosts.test.
private		MX 10 a.hosts.test.
private2	MX 10 private.hosts.test.
named		MX 10 d.hosts.test.
ours		MX 10 local.hosts.test.
ours		MX 20 dead.hosts.test.
EOF
dns_lame lame.test
dns_lame lame.world.test
dns_silent silent.test
dns_start

suite_conf <<EOF
  resolver        = $DNS_SERVER
  retry-min       = 1h
  retry-max       = 1h
  relay-workers   = 2
[smtpd "mx"]
  listen-port     = 127.0.0.1:$PORT
[relay "world"]
  mx              = recipient
  port            = $peer
  private-hosts   = yes
[relay "public"]
  mx              = recipient
  port            = $peer
[relay "named.world.test"]
  mx              = name
  port            = $peer
  private-hosts   = yes
[route]
  @client.test           discard()
  @private.world.test    public
  @private2.world.test   relay()
  @ours.world.test       relay()
  @elsewhere.test        named.world.test
  @                      world
EOF
ok "postmaster -n is content" "$STAGE/usr/sbin/postmaster" -n -f "$CF"
suite_start

equal=
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
	equal="$equal x@d$n.equal.world.test"
done
ok "mail to many domains" post me@client.test x@silent.test \
    x@two.world.test x@later.world.test \
    x@implicit.world.test x@null.world.test x@empty.world.test \
    x@no-such-domain.test x@lame.test x@alias.world.test \
    x@mxalias.world.test x@multi.world.test x@us.world.test \
    x@usafter.world.test x@nohost.world.test x@nohost2.world.test \
    x@private.world.test x@private2.world.test x@ours.world.test \
    x@elsewhere.test 'x@[127.0.0.14]' $equal

at() {
	echo "relay=\"?$1[^ ]*\[127\.0\.0\.$2\]:$peer"
}
becomes "the first of two is dead: the second has it" x@two.world.test \
    "relayed .*$(at b.hosts.test 12)"
like "at once" "$(outcome_of x@two.world.test)" \
    ' delay=[01]\.[0-9]* attempts=1 '
becomes "the one that is preferred has it" x@later.world.test \
    "relayed .*$(at b.hosts.test 12)"
becomes "no MX: the domain is its own host" x@implicit.world.test \
    "relayed .*$(at implicit.world.test 12)"
becomes "a null MX: the domain takes no mail" x@null.world.test \
    'bounced .*attempts=1 status=5\.1\.10'
becomes "neither MX nor address: nowhere" x@empty.world.test \
    '(deferred .*status=4\.4\.4|bounced .*status=5\.)'
becomes "no such domain" x@no-such-domain.test \
    'bounced .*attempts=1 status=5\.1\.2'
becomes "SERVFAIL: it waits" x@lame.test 'deferred .*status=4\.4\.3'
becomes "an alias is followed" x@alias.world.test 'relayed .*\[127\.0\.0\.12\]'
becomes "and one that an MX names" x@mxalias.world.test \
    'relayed .*\[127\.0\.0\.11\]'
becomes "of two addresses the first is dead" x@multi.world.test \
    'relayed .*\[127\.0\.0\.12\]'
becomes "we are the best host: a loop" x@us.world.test \
    'bounced .*status=5\.4\.6'
becomes "we are the last: the others come first" x@usafter.world.test \
    'relayed .*\[127\.0\.0\.11\]'
becomes "an MX without address: it waits" x@nohost.world.test \
    'deferred .*status=4\.4\.4'
becomes "but there is another" x@nohost2.world.test \
    'relayed .*\[127\.0\.0\.11\]'
becomes "a private address from DNS: it waits" x@private.world.test \
    'deferred .*status=4\.4\.4.*(private|loopback)'
becomes "so for relay() alone" x@private2.world.test \
    'deferred .*status=4\.4\.4.*(private|loopback)'
# It is taken for a mistake for a day, not for the five that others wait.
id_of() {
	outcome_of "$1" | sed 's/.* id=\([^ ]*\) .*/\1/'
}
tried() {
	[ "$(grep -c "deferred .*to=$1 " "$SCRATCH/log")" -ge "$2" ]
}
for to in x@nohost.world.test x@private.world.test; do
	for n in 2 3 4 5; do
		postctl run "$(id_of $to)" && wait_for 10 tried $to $n
	done
	postctl age "$(id_of $to)" 1d
done
ok "after a day that is final" wait_for_log 10 \
    'bounced .*to=x@private\.world\.test .*status=5\.4\.4.*gave up'
ok "an MX without address is tried again" wait_for 10 tried \
    x@nohost.world.test 6
like "and goes on waiting" "$(outcome_of x@nohost.world.test)" \
    'deferred .*status=4\.4\.4'
becomes "one of ours at port 25: a loop" x@ours.world.test \
    'bounced .*status=5\.4\.6'
becomes "the exchangers of a [relay] of that name" x@elsewhere.test \
    'relayed .*\[127\.0\.0\.14\]'
becomes "an address in brackets" 'x@\[127\.0\.0\.14\]' \
    'relayed .*\[127\.0\.0\.14\]'

# Of two that are equal each is first sometimes (1 in 32768: never).
for to in $equal; do
	wait_for 10 has_outcome "$to"
done
a=$(sink_count host11 'X-Rcpt-Args: <x@d[0-9]*\.equal')
b=$(sink_count host12 'X-Rcpt-Args: <x@d[0-9]*\.equal')
is "mail for equal hosts arrives" $((a + b)) 16
ok "at both of them ($a and $b)" [ "$a" -gt 0 -a "$b" -gt 0 ]

# Domains that share a host share a connection.
for n in 1 2 3 1 2 3; do
	post me@client.test "x$n@shared$n.world.test"
	wait_for 5 sink_count host13 "X-Rcpt-Args: <x$n@shared$n"
done
six_at_13() {
	[ "$(sink_count host13 'X-Rcpt-Args: <x[123]@shared')" -eq 6 ]
}
ok "six messages to three domains of one host" wait_for 10 six_at_13
used=$(sink_connections host13)
ok "take $used connections: one for each of two relays" [ "$used" -le 2 ]

# A resolver that does not answer is a delay, not a refusal.
becomes "no answer in time: it waits" x@silent.test \
    'deferred .*status=4\.4\.3' 60
is "and nothing else waits on it" "$(postctl status >/dev/null; echo $?)" 0
like "each was asked for once" "$(dns_asked two.world.test MX)" '^[12]$'

# What the operator sees.
explained=$(postctl explain x@two.world.test)
like "explain shows both hosts" "$explained" 'dead\.hosts\.test'
like "in their order" "$(echo "$explained" | tr '\n' ' ')" \
    'dead\.hosts\.test.*b\.hosts\.test'
like "and says of a null MX what it is" \
    "$(postctl explain x@null.world.test)" '5\.1\.10|accepts no mail|null MX'
why=$(postctl why two.world.test)
like "why knows the host that is dead" "$why" \
    'dead\.hosts\.test.*Connection refused'
like "and how long it is left alone" "$why" 'closed until'
like "why tells what waits, and for what" "$(postctl why lame.test)" \
    'SERVFAIL'
dialogue=$(postctl probe x@two.world.test)
is "a probe succeeds" "$?" 0
like "and shows the dialogue" "$dialogue" \
    '>>> RCPT TO:<x@two\.world\.test>'
not_ok "without sending a message" grep -q 'DATA' <<EOF
$dialogue
EOF
dialogue=$(postctl probe private.world.test)
is "one that fails says so" "$?" 75
like "and why" "$dialogue" 'private'
dns_stop
post me@client.test x@after.test
becomes "without a resolver mail waits" x@after.test \
    'deferred .*status=4\.4\.3' 40
done_testing
