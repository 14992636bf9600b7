#!/bin/sh
# DANE (RFC 7672) against a Postfix, with a signed zone and a resolver that
# validates: TLSA records decide who the host must be.
. "$(dirname "$0")/suite.sh"
. "$(dirname "$0")/dns.sh"
. "$(dirname "$0")/peers.sh"
need_root
need_unpacked postfix
need_dns
need_accounts
need perl

peer_ca good
peer_ca other
peer_certificate postfix good whatever.test
peer_certificate stranger other mx.stranger.test
postfix_start || skip_all "no Postfix"
peer=$POSTFIX_PORT
sink_start clear 127.0.0.2 "$peer"

right="TLSA $(dns_tlsa "$TLS/postfix.pem")"
wrong="TLSA $(dns_tlsa "$TLS/stranger.pem")"
name="_$peer._tcp.mx"
dns_zone signed.test signed <<EOF
right		MX 10 mx.right
mx.right	A 127.0.0.1
$name.right	$right
roll		MX 10 mx.roll
mx.roll		A 127.0.0.1
$name.roll	$wrong
$name.roll	$right
full		MX 10 mx.full
mx.full		A 127.0.0.1
$name.full	TLSA $(dns_tlsa "$TLS/postfix.pem" 3 0 2)
wrong		MX 10 mx.wrong
mx.wrong	A 127.0.0.1
$name.wrong	$wrong
none		MX 10 mx.none
mx.none		A 127.0.0.1
unusable	MX 10 mx.unusable
mx.unusable	A 127.0.0.1
$name.unusable	TLSA $(dns_tlsa "$TLS/stranger.pem" 1 1 1)
clear		MX 10 mx.clear
mx.clear	A 127.0.0.2
$name.clear	$right
lame		MX 10 mx.lame
mx.lame		A 127.0.0.1
second		MX 10 mx.wrong
second		MX 20 mx.right
outside		MX 10 mx.plain.test.
EOF
dns_lame "$name.lame.signed.test"
dns_zone plain.test <<EOF
@		MX 10 mx
mx		A 127.0.0.1
$name		$wrong
inside		MX 10 mx.right.signed.test.
EOF
dns_zone bogus.test bogus <<EOF
@		MX 10 mx
mx		A 127.0.0.1
$name		$right
EOF
dns_start

suite_conf <<EOF
  resolver        = $DNS_SERVER
  retry-min       = 1h
  retry-max       = 1h
[smtpd "mx"]
  listen-port     = 127.0.0.1:$PORT
[relay "world"]
  port            = $peer
  mx              = recipient
  private-hosts   = yes
[relay "careless"]
  port            = $peer
  mx              = recipient
  private-hosts   = yes
  tls             = none
[relay "strict"]
  port            = $peer
  mx              = recipient
  private-hosts   = yes
  tls             = dane
[relay "smart"]
  name            = mx.wrong.signed.test
  port            = $peer
[relay "smart-right"]
  name            = mx.right.signed.test
  port            = $peer
[route]
  @client.test          discard()
  @smart.test           smart
  @smart-right.test     smart-right
  careless@wrong.signed.test  careless
  strict@right.signed.test    strict
  strict@none.signed.test     strict
  @                     world
EOF
ok "postmaster -n is content" "$STAGE/usr/sbin/postmaster" -n -f "$CF"
suite_start
ok "mail to many" post me@client.test x@right.signed.test \
    x@roll.signed.test x@full.signed.test x@wrong.signed.test \
    x@none.signed.test x@unusable.signed.test x@clear.signed.test \
    x@lame.signed.test x@second.signed.test x@outside.signed.test \
    x@plain.test x@inside.plain.test x@bogus.test x@smart.test \
    x@smart-right.test careless@wrong.signed.test \
    strict@right.signed.test strict@none.signed.test

becomes "the certificate is that of the record" x@right.signed.test \
    'relayed .*tls="[^"]* dane'
ok "and there it is" wait_for_peer_mail 5 "$POSTFIX_MAIL" \
    '^Delivered-To: x@right\.signed\.test'
becomes "one of two records is enough" x@roll.signed.test \
    'relayed .*tls="[^"]* dane'
becomes "a record of the whole certificate, by SHA-512" x@full.signed.test \
    'relayed .*tls="[^"]* dane'
becomes "another certificate: it waits" x@wrong.signed.test \
    'deferred .*status=4\.7\.'
show=$(show_of x@wrong.signed.test)
like "postctl show says why" "$show" 'TLSA'
like "and of which host" "$show" 'mx\.wrong\.signed\.test'
becomes "no record: TLS with whomever" x@none.signed.test \
    'relayed .*tls="[^"]* unverified'
becomes "a record of no use: TLS with whomever" x@unusable.signed.test \
    'relayed .*tls="[^"]* unverified'
becomes "a record, but no TLS: it waits" x@clear.signed.test \
    'deferred .*(STARTTLS|TLS)'
is "and nothing went in clear" "$(sink_count clear 'X-Rcpt-Args')" 0
becomes "the question for the record fails: it waits" x@lame.signed.test \
    'deferred .*status=4\.[47]\.'
like "and says why" "$(show_of x@lame.signed.test)" 'TLSA'
becomes "the next host may be the right one" x@second.signed.test \
    'relayed .*mx\.right\.signed\.test.*tls="[^"]* dane'
becomes "a host of an unsigned zone: TLS with whomever" \
    x@outside.signed.test 'relayed .*tls="[^"]* unverified'
becomes "records of an unsigned zone are none" x@plain.test \
    'relayed .*tls="[^"]* unverified'
becomes "an unsigned domain may name a signed host" x@inside.plain.test \
    'relayed .*tls="[^"]*'
becomes "signatures of the past: it waits" x@bogus.test \
    'deferred .*status=4\.4\.3'
becomes "tls = none of the route wins" careless@wrong.signed.test \
    'relayed .*tls=none'
becomes "tls = dane with records" strict@right.signed.test \
    'relayed .*tls="[^"]* dane'
becomes "and without: it waits" strict@none.signed.test \
    'deferred .*status=4\.7\.'
like "and says why" "$(show_of strict@none.signed.test)" 'TLSA|DANE|dane'
becomes "a host that the configuration names" x@smart-right.test \
    'relayed .*tls="[^"]* dane'
becomes "is held to its records, too" x@smart.test \
    'deferred .*status=4\.7\.'
like "explain tells what would be used" \
    "$(postctl explain x@right.signed.test)" '[Dd][Aa][Nn][Ee]'
done_testing
