#!/bin/sh
# The resolver against a real DNS: nsd with zones that are signed, plain,
# bogus, lame and silent, and unbound, which validates.
. "$(dirname "$0")/../e2e/suite.sh"
. "$(dirname "$0")/../e2e/dns.sh"
need_dns

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$SCRATCH/mx.key" -out "$SCRATCH/mx.crt" -subj /CN=mx.good.test \
    -days 3 2>/dev/null
tlsa=$(dns_tlsa "$SCRATCH/mx.crt")

dns_zone good.test signed <<EOF2
@		MX 20 second.plain.test.
@		MX 10 MX
mx		A 127.0.0.1
mx		AAAA ::1
alias		CNAME mx
away		CNAME second.plain.test.
_25._tcp.mx	TLSA $tlsa
_26._tcp.mx	TLSA $(dns_tlsa "$SCRATCH/mx.crt" 2 0 2)
short		60 A 127.0.0.9
brief		1 A 127.0.0.9
odd		MX 10 a\032b
odd		MX 20 mx
$(seq 40 | sed 's/.*/large MX 1& an-exchanger-with-a-long-name-&.example./')
EOF2
dns_zone plain.test <<EOF2
@		MX 0 .
second		A 127.0.0.2
inwards		CNAME mx.good.test.
EOF2
dns_zone bogus.test bogus <<EOF2
@		MX 10 mx
EOF2
dns_zone _27._tcp.mx.good.test bogus <<EOF2
@		TLSA $tlsa
EOF2
dns_lame lame.test
dns_silent silent.test
dns_start

resolver() {
	"$BUILD/regress/dns/standin" "$@"
}

# says NAME WANTED KIND NAME: what the resolver answers
says() {
	is "$1" "$(resolver "$DNS_SERVER" "$3" "$4")" "$2"
}

resolver "$DNS_SERVER" mx silent.test >"$SCRATCH/silent" &
silent=$!

says "exchangers, in order and in lower case" \
    "ok secure 300s 10:mx.good.test. 20:second.plain.test." mx GOOD.test.
says "a null MX" "ok 300s 0:." mx plain.test
says "no exchangers, but the name" "none secure 300s" mx mx.good.test
says "no name" "no-name 300s" mx missing.test
says "no name, that is certain" "no-name secure 300s" mx missing.good.test
says "a name that is odd is left out" "ok secure 300s 20:mx.good.test." \
    mx odd.good.test
says "both families" "ok secure 300s mx.good.test ::1 127.0.0.1" \
    address mx.good.test
says "an alias" "ok secure 300s mx.good.test ::1 127.0.0.1" \
    address alias.good.test
says "an alias that leads out of what is signed" \
    "ok 300s second.plain.test 127.0.0.2" address away.good.test
says "an alias that leads into it" \
    "ok 300s mx.good.test ::1 127.0.0.1" address inwards.plain.test
says "TLSA of a certificate" \
    "ok secure 300s $(echo "$tlsa" | tr ' ' /)" tlsa _25._tcp.mx.good.test
like "TLSA of another kind" \
    "$(resolver "$DNS_SERVER" tlsa _26._tcp.mx.good.test)" \
    '^ok secure 300s 2/0/2/[0-9a-f]{128}$'
says "no TLSA" "no-name secure 300s" tlsa _25._tcp.short.good.test
says "a lifetime" "ok secure 60s short.good.test 127.0.0.9" \
    address short.good.test
says "a lifetime that is too short" \
    "ok secure 60s brief.good.test 127.0.0.9" address brief.good.test

servfail="failed 0s (the resolver answers SERVFAIL)"
says "a bogus zone" "$servfail" mx bogus.test
says "a bogus TLSA beside good addresses" "$servfail" \
    tlsa _27._tcp.mx.good.test
says "a lame zone" "$servfail" mx lame.test

large=$(resolver "$DNS_SERVER" mx large.good.test)
is "32 of an answer that comes by TCP" "$(echo "$large" | wc -w)" 35
like "and those with the least preference" "$large" \
    '^ok secure 300s 11:an-exchanger-with-a-long-name-1\.example\. 12:'
is "many questions, each asked once" "$(resolver "$DNS_SERVER" \
    $(seq 500 | sed 's/.*/mx once.good.test address once.good.test/') |
    sort | uniq -c | tr -s ' ')" " 1000 no-name secure 300s"
is "MX once" "$(dns_asked once.good.test MX)" 1
is "AAAA once" "$(dns_asked once.good.test AAAA)" 1
is "A once" "$(dns_asked once.good.test A)" 1

# ---- the servers

is "AD is not believed when told so" \
    "$(resolver -T "$DNS_SERVER" mx good.test)" \
    "ok 300s 10:mx.good.test. 20:second.plain.test."
like "the second server is asked if the first is dead" \
    "$(resolver "127.0.0.1:1,$DNS_SERVER" mx plain.test)" '^ok .*s 0:\.$'
like "or has only SERVFAIL to say" \
    "$(resolver "127.0.0.1:$(cat "$DNS_DIR/lame.port"), $DNS_SERVER" \
    mx plain.test)" '^ok .*s 0:\.$'
is "a server by IPv6, where there is none" \
    "$(resolver "[::1]:1" mx plain.test)" \
    "failed 0s (the resolver cannot be reached)"
not_ok "a server that is a name" resolver localhost:53 mx plain.test
not_ok "a server with a bad port" resolver 127.0.0.1:65536 mx plain.test
not_ok "no server" resolver , mx plain.test

wait $silent
is "a server that is silent" "$(cat "$SCRATCH/silent")" \
    "failed 0s (the resolver does not answer in time)"
dns_stop
says "no server any more" "failed 0s (the resolver cannot be reached)" \
    mx good.test
done_testing
