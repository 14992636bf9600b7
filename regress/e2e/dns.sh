# Sourced after suite.sh by tests that need a DNS of their own: nsd with the
# test's zones, and unbound in front of it, which validates.  Plain sh.
#
#	need_dns		skip_all unless this machine has what it needs
#	dns_zone NAME [KIND] <<EOF ...	a zone; stdin is its records, their
#				names relative to NAME; SOA and NS are there.
#				KIND: plain; signed; bogus (signed, but its
#				signatures have expired: SERVFAIL)
#	dns_lame NAME		names at and below it are SERVFAIL
#	dns_silent NAME		questions for them are never answered
#	dns_start		sign, start, and wait until it answers; once
#				more after other zones: the same port, empty
#				caches
#	dns_stop		end it: then the resolver refuses connections
#	dns_ask NAME TYPE	what the resolver says (drill -D), to look at
#	dns_asked NAME TYPE	how often it was asked for that
#	dns_tlsa CERTIFICATE [USAGE SELECTOR MATCHING]	print the data of a
#				TLSA record, 3 1 1 if not given
#
# $DNS_SERVER is 127.0.0.1:port, as `resolver =` takes it.  A name outside the
# zones is NXDOMAIN.  A zone may lie within another without being delegated
# there, so that one name of a signed zone can be made bogus, lame or silent:
# `dns_lame _25._tcp.mx.example.test`.  Records live 300 seconds if the zone
# says nothing else.  For example:
#
#	dns_zone example.test signed <<EOF
#	@		MX 10 mx
#	mx		A 127.0.0.1
#	_25._tcp.mx	TLSA $(dns_tlsa "$SCRATCH/mx.crt")
#	EOF
#	dns_start
#	suite_conf <<EOF
#	  resolver = $DNS_SERVER
#	...

DNS_DIR=$SCRATCH/dns
DNS_AUTHORITY=$(suite_port)	# nsd's
DNS_PORT=$(suite_port)		# unbound's
DNS_SERVER=127.0.0.1:$DNS_PORT
DNS_PIDS=

mkdir -p "$DNS_DIR"
: >"$DNS_DIR/zones"		# name kind, a line each

need_dns() {
	need_unpacked nsd
	need_unpacked unbound
	need ldns-keygen ldns-signzone drill openssl perl
}

# Servers run as nobody where there is a choice.
dns_run() {
	local user=
	[ "$(id -u)" != 0 ] ||
	    user="setpriv --reuid=nobody --regid=nogroup --clear-groups"
	$user "$@" >>"$DNS_DIR/output" 2>&1 &
	DNS_PIDS="$DNS_PIDS $!"
}

dns_list() {
	sed -i "/^$1 /d" "$DNS_DIR/zones"
	echo "$1 $2" >>"$DNS_DIR/zones"
}

# The records every zone begins with.
dns_apex() {
	echo "\$ORIGIN $1"
	echo "\$TTL 300"
	echo "@ SOA ns.invalid. root.invalid. 1 3600 3600 86400 300"
	echo "@ NS ns.invalid."
}

dns_zone() {
	{
		dns_apex "$1."
		cat
	} >"$DNS_DIR/$1.zone"
	dns_list "$1" "${2:-plain}"
}

dns_lame() {
	dns_list "$1" lame
}

dns_silent() {
	dns_list "$1" silent
}

# Make $DNS_DIR/NAME.signed and NAME.anchor.
dns_sign() {
	local key times="-e $(date -u -d '+30 days' +%Y%m%d)"
	[ "$2" != bogus ] || times="-i 20000101 -e 20010101"
	(
		cd "$DNS_DIR" || exit 1
		key=$(ldns-keygen -r /dev/urandom -a ECDSAP256SHA256 -k "$1") &&
		    ldns-signzone $times -o "$1" -f "$1.signed" "$1.zone" \
		    "$key" && cp "$key.key" "$1.anchor"
	) >>"$DNS_DIR/output" 2>&1
}

dns_nsd_conf() {
	local name kind
	cat <<-EOF
	server:
	  ip-address: 127.0.0.1@$DNS_AUTHORITY
	  username: ""
	  zonesdir: "$DNS_DIR"
	  database: ""
	  pidfile: ""
	  xfrdfile: ""
	  zonelistfile: ""
	  xfrdir: "$DNS_DIR"
	  cookie-secret-file: ""
	  server-count: 1
	remote-control:
	  control-enable: no
	zone:
	  name: "."
	  zonefile: "root.zone"
	EOF
	while read -r name kind; do
		case $kind in
		plain)	kind=zone ;;
		signed|bogus) kind=signed ;;
		*)	continue ;;
		esac
		echo "zone:"
		echo "  name: \"$name\""
		echo "  zonefile: \"$name.$kind\""
	done <"$DNS_DIR/zones"
}

dns_unbound_conf() {
	local name kind port
	cat <<-EOF
	server:
	  interface: 127.0.0.1
	  port: $DNS_PORT
	  directory: "$DNS_DIR"
	  username: ""
	  chroot: ""
	  pidfile: ""
	  logfile: "$DNS_DIR/unbound.log"
	  use-syslog: no
	  log-queries: yes
	  num-threads: 1
	  do-ip6: no
	  do-not-query-localhost: no
	  module-config: "validator iterator"
	  qname-minimisation: no
	  aggressive-nsec: no
	  trust-anchor-signaling: no
	  root-key-sentinel: no
	  target-fetch-policy: "0 0 0 0 0"
	  unblock-lan-zones: yes
	  insecure-lan-zones: yes
	  local-zone: "test." nodefault
	  local-zone: "invalid." nodefault
	  local-zone: "localhost." nodefault
	EOF
	while read -r name kind; do
		case $kind in
		signed|bogus)
			echo "  trust-anchor-file: \"$DNS_DIR/$name.anchor\"" ;;
		esac
	done <"$DNS_DIR/zones"
	cat <<-EOF
	remote-control:
	  control-enable: no
	stub-zone:
	  name: "."
	  stub-addr: 127.0.0.1@$DNS_AUTHORITY
	EOF
	while read -r name kind; do
		case $kind in
		lame|silent) port=$(cat "$DNS_DIR/$kind.port") ;;
		*)	port=$DNS_AUTHORITY ;;
		esac
		echo "stub-zone:"
		echo "  name: \"$name\""
		echo "  stub-addr: 127.0.0.1@$port"
	done <"$DNS_DIR/zones"
}

# A server that has only faults: answers SERVFAIL, or nothing at all.
dns_faulty() {
	rm -f "$DNS_DIR/$1.port"
	dns_run perl -MIO::Socket::INET -e '
		my ($kind, $file) = @ARGV;
		my $s = IO::Socket::INET->new(Proto => "udp",
		    LocalAddr => "127.0.0.1:0") or die "$!\n";
		open(my $out, ">", "$file.new") or die "$!\n";
		print $out $s->sockport, "\n";
		close($out);
		rename("$file.new", $file) or die "$!\n";
		while (defined($s->recv(my $query, 4096))) {
			next if $kind eq "silent" || length($query) < 12;
			my ($id, $flags, $count) = unpack("nnn", $query);
			$s->send(pack("n6", $id, $flags & 0x0100 | 0x8002,
			    0, 0, 0, 0));
		}' "$1" "$DNS_DIR/$1.port"
	wait_for 5 test -s "$DNS_DIR/$1.port"
}

dns_answers() {
	drill -t -p "$DNS_PORT" @127.0.0.1 . SOA | grep -q 'rcode: NOERROR'
}

dns_start() {
	local name kind root="$TOP/build/packages"
	dns_stop
	: >"$DNS_DIR/output"
	dns_apex . >"$DNS_DIR/root.zone"
	while read -r name kind; do
		case $kind in
		signed|bogus) dns_sign "$name" "$kind" || break ;;
		esac
	done <"$DNS_DIR/zones"
	[ "$(id -u)" != 0 ] || chown -R nobody "$DNS_DIR"
	dns_faulty lame
	dns_faulty silent
	dns_nsd_conf >"$DNS_DIR/nsd.conf"
	dns_unbound_conf >"$DNS_DIR/unbound.conf"
	dns_run "$root/nsd/usr/sbin/nsd" -d -c "$DNS_DIR/nsd.conf"
	dns_run "$root/unbound/usr/sbin/unbound" -d -c "$DNS_DIR/unbound.conf"
	if ! wait_for 15 dns_answers; then
		diag "the DNS does not come up:"
		tail -n 30 "$DNS_DIR/output" "$DNS_DIR/unbound.log" |
		    sed 's/^/# /'
		tap_result 1 "the DNS comes up"
		echo "1..$TESTS"
		exit 1
	fi
}

dns_stop() {
	[ -n "$DNS_PIDS" ] || return 0
	kill $DNS_PIDS 2>/dev/null
	wait $DNS_PIDS 2>/dev/null
	DNS_PIDS=
}

dns_ask() {
	drill -D -p "$DNS_PORT" @127.0.0.1 "$1" "$2"
}

dns_asked() {
	grep -c " info: 127\.0\.0\.1 $1\. $2 IN" "$DNS_DIR/unbound.log"
}

# Octets as hexadecimal digits.
dns_hex() {
	od -An -v -tx1 | tr -d ' \n'
}

dns_tlsa() {
	local data="$DNS_DIR/tlsa.data"
	case ${3:-1} in
	0)	openssl x509 -in "$1" -outform DER ;;
	1)	openssl x509 -in "$1" -noout -pubkey |
		    openssl pkey -pubin -outform DER ;;
	esac >"$data"
	case ${4:-1} in
	0)	;;
	1)	openssl dgst -sha256 -binary -out "$data.hash" "$data" ;;
	2)	openssl dgst -sha512 -binary -out "$data.hash" "$data" ;;
	esac
	[ "${4:-1}" = 0 ] || mv "$data.hash" "$data"
	echo "${2:-3} ${3:-1} ${4:-1} $(dns_hex <"$data")"
}

trap 'dns_stop; suite_end' EXIT
