#!/bin/sh
# IPv6 and IPv4: which of a host's addresses is tried first, which is not
# tried at all, as address-family says; and the other where one is dead.
. "$(dirname "$0")/suite.sh"
. "$(dirname "$0")/dns.sh"
. "$(dirname "$0")/peers.sh"
need_root
need_unpacked postfix
need_dns
need perl
grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null || skip_all "needs IPv6"

peer=$(suite_port)
dead=$(suite_port)
sink_start four 127.0.0.21 "$peer" -h dual.test
sink_start six "[::1]" "$peer" -h dual.test
sink_start four-only 127.0.0.21 "$dead" -h dual.test
dns_zone dual.test <<EOF
@		MX 10 both
*		MX 10 both
both		A 127.0.0.21
both		AAAA ::1
EOF
dns_start

sections=
routes=
for family in any 4 6 4-first 6-first; do
	sections="$sections
[relay \"$family\"]
  mx = recipient
  port = $peer
  address-family = $family"
	routes="$routes
  @$family.dual.test  $family"
done
suite_conf <<EOF
  resolver        = $DNS_SERVER
[smtpd "mx"]
  listen-port     = 127.0.0.1:$PORT
[relay "*"]
  private-hosts   = yes$sections
[relay "dead"]
  mx = recipient
  port = $dead
[relay "dead6"]
  mx = recipient
  port = $dead
  address-family = 6
[route]$routes
  @dead.dual.test     dead
  @dead6.dual.test    dead6
  @named.test         relay([::1]:$peer)
EOF
suite_start

post sender@example.org x@any.dual.test x@4.dual.test x@6.dual.test \
    x@4-first.dual.test x@6-first.dual.test x@dead.dual.test \
    x@dead6.dual.test x@named.test
for family in any 6 6-first; do
	becomes "address-family = $family goes by IPv6" x@$family.dual.test \
	    "relayed .*relay=\"?both\.dual\.test\[::1\]:$peer"
done
for family in 4 4-first; do
	becomes "address-family = $family goes by IPv4" x@$family.dual.test \
	    "relayed .*relay=\"?both\.dual\.test\[127\.0\.0\.21\]:$peer"
done
becomes "a host of the configuration" x@named.test \
    "relayed .*relay=\"?::1\[::1\]:$peer"
is "the one server has its mail" "$(sink_count six 'X-Rcpt-Args:')" 4
is "and so has the other" "$(sink_count four 'X-Rcpt-Args:')" 2
becomes "with IPv6 dead, by IPv4" x@dead.dual.test \
    "relayed .*relay=\"?both\.dual\.test\[127\.0\.0\.21\]:$dead"
becomes "unless that is not allowed" x@dead6.dual.test \
    "deferred .*status=4\.4\.1 .*\[::1\]:$dead: Connection refused"
done_testing
