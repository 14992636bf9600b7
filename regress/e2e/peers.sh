# Sourced after suite.sh, and dns.sh, by tests that need real mail servers.
# Plain sh.
#
# Everything is below $SCRATCH and ends with the test; nothing is installed
# and no account is made: the packages are unpacked below build/packages, and
# the accounts they ask for by name exist for them alone (nss_wrapper).
#
#	peer_ca NAME		an authority: $TLS/NAME.pem
#	peer_certificate NAME CA HOST ...	for these names: $TLS/NAME.pem,
#				key and certificate; HOST expired: of the past
#	peer_tlsa NAME		SHA-256 of its public key, as TLSA 3 1 1 has it
#	postfix_start [FILE [SERVICES]]	a whole Postfix that takes mail for everybody
#				into $POSTFIX_MAIL; its log is $POSTFIX_LOG.
#				Ports of $POSTFIX_ADDRESS (127.0.0.1):
#				$POSTFIX_PORT (MX, STARTTLS), $POSTFIX_LOGIN
#				(submission: STARTTLS, then login) and
#				$POSTFIX_SMTPS (TLS at once, then login).  Its
#				certificate is $TLS/postfix.pem.  Lines of FILE
#				are added to main.cf, those of SERVICES to
#				master.cf, see postfix_smtpd below
#	dovecot_start		logins (user `peer', password `pass word') at
#				$DOVECOT_AUTH; LMTP at $LMTP_PORT and the
#				socket $LMTP_SOCKET into Maildirs below
#				$DOVECOT_MAIL, of users peer and other
#	exim_start [FILE]	an Exim that takes mail for everybody into
#				$EXIM_MAIL; port $EXIM_PORT, log $EXIM_LOG,
#				certificate $TLS/exim.pem; FILE goes first in
#				its configuration
#	sink_start NAME ADDRESS PORT [OPTION ...]	Postfix's stand-in;
#				what it took is in $SINK/NAME.mail, what it
#				heard in $SINK/NAME.log
#	sink_count NAME PATTERN	how many messages it took whose envelope, as
#				`X-Mail-Args: <a@b>' and `X-Rcpt-Args: <c@d>',
#				or text has such a line
#	sink_connections NAME	how many connections it took
#	post FROM ADDRESS ...	a message to each, its subject the address, to
#				our port $PORT; one connection
#	outcome_of ADDRESS	the last closing line of our log for it
#	becomes TEXT ADDRESS PATTERN [SECONDS]	one test: of such a kind is the
#				first closing line that comes
#	show_of ADDRESS		what postctl show says of what waits for it
#	peer_mail DIR PATTERN	how many messages of a Maildir have it
#	wait_for_peer_mail SECONDS DIR PATTERN [N]	until it is N or more
#	listens ADDRESS PORT	does somebody take connections there

TLS=$SCRATCH/tls
PEERS=
PACKAGES=$TOP/build/packages
SINK=$SCRATCH/sinks
mkdir -p "$TLS"
mkdir -m 1777 "$SINK"

# ---- certificates

peer_ca() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
	    -days 30 -subj "/CN=Test Authority $1" -keyout "$TLS/$1.key" \
	    -out "$TLS/$1.pem" 2>/dev/null
}

peer_certificate() {
	local name="$1" ca="$2" days=30 names= host
	shift 2
	for host in "$@"; do
		case $host in
		expired) days=-1 ;;
		*) names="${names:+$names,}DNS:$host" ;;
		esac
	done
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
	    -subj "/O=Test" -addext "subjectAltName=$names" \
	    -keyout "$TLS/$name.key" -out "$TLS/$name.csr" 2>/dev/null &&
	    openssl x509 -req -in "$TLS/$name.csr" -copy_extensions copyall \
	    -CA "$TLS/$ca.pem" -CAkey "$TLS/$ca.key" -CAcreateserial \
	    -days $days -out "$TLS/$name.crt" 2>/dev/null &&
	    cat "$TLS/$name.key" "$TLS/$name.crt" >"$TLS/$name.pem"
}

peer_tlsa() {
	openssl x509 -in "$TLS/$1.pem" -noout -pubkey |
	    openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1
}

# ---- what all peers need

# Become a program that knows accounts which exist nowhere else.
with_accounts() {
	if [ ! -e "$SCRATCH/peers.passwd" ]; then
		getent passwd >"$SCRATCH/peers.passwd"
		getent group >"$SCRATCH/peers.group"
		cat >>"$SCRATCH/peers.passwd" <<-EOF
		postfix:x:64801:64801::/nonexistent:/usr/sbin/nologin
		Debian-exim:x:64803:64803::/nonexistent:/usr/sbin/nologin
		EOF
		cat >>"$SCRATCH/peers.group" <<-EOF
		postfix:x:64801:
		postdrop:x:64802:
		Debian-exim:x:64803:
		EOF
	fi
	exec env NSS_WRAPPER_PASSWD=$SCRATCH/peers.passwd \
	    NSS_WRAPPER_GROUP=$SCRATCH/peers.group \
	    LD_PRELOAD=libnss_wrapper.so \
	    LD_LIBRARY_PATH=$PACKAGES/postfix/usr/lib/postfix "$@"
}

need_accounts() {
	LD_PRELOAD=libnss_wrapper.so /bin/true 2>&1 | grep -q . &&
	    skip_all "needs libnss-wrapper"
}

listens() {
	perl -MIO::Socket::INET -e 'exit(!IO::Socket::INET->new(
	    PeerAddr => $ARGV[0], PeerPort => $ARGV[1], Timeout => 2))' \
	    "$1" "$2"
}

# ---- what became of mail

post() {
	perl -MNet::SMTP -e '
		my ($port, $from, @to) = @ARGV;
		my $smtp = Net::SMTP->new("127.0.0.1", Port => $port,
		    Hello => "client.test") or die "no connection\n";
		for my $to (@to) {
			$smtp->mail($from) && $smtp->to($to) &&
			    $smtp->data("Subject: $to\n", "From: $from\n",
			    "To: $to\n", "\n", "text\n") or
			    die "$to: " . $smtp->message;
		}
		$smtp->quit' "$PORT" "$@"
}

outcome_of() {
	grep -Es "(delivered|relayed|deferred|bounced|held) id=.* to=$1 " \
	    "$SCRATCH/log" | tail -n 1
}

has_outcome() {
	[ -n "$(outcome_of "$1")" ]
}

becomes() {
	wait_for "${4:-15}" has_outcome "$2"
	like "$1" "$(outcome_of "$2")" "$3"
}

show_of() {
	postctl show "$(outcome_of "$1" | sed 's/.* id=\([^ ]*\) .*/\1/')"
}

sink_start() {
	local name="$1" address="$2" port="$3" user=
	shift 3
	[ "$(id -u)" != 0 ] || user="-u nobody"
	LD_LIBRARY_PATH=$PACKAGES/postfix/usr/lib/postfix \
	    "$PACKAGES/postfix/usr/sbin/smtp-sink" -v $user \
	    -D "$SINK/$name.mail" "$@" "$address:$port" 200 \
	    >"$SINK/$name.log" 2>&1 &
	PEERS="$PEERS $!"
	wait_for 5 grep -q 'trying\.\.\.' "$SINK/$name.log"
}

sink_count() {
	cat "$SINK/$1.mail" 2>/dev/null | tr -d '\r' | grep -Eic -- "^$2"
}

sink_connections() {
	grep -c ': connect (' "$SINK/$1.log"
}

peer_mail() {
	grep -lERs -- "$2" "$1" | wc -l
}

peer_mail_at_least() {
	[ "$(peer_mail "$1" "$2")" -ge "$3" ]
}

wait_for_peer_mail() {
	wait_for "$1" peer_mail_at_least "$2" "$3" "${4:-1}"
}

peers_end() {
	local pid
	[ -z "$PEERS" ] || kill $PEERS 2>/dev/null
	for pid in $PEERS; do
		wait_for 5 suite_gone "$pid"
	done
	[ -z "$DNS_DIR" ] || dns_stop
}
trap 'peers_end; suite_end' EXIT

# ---- Postfix

postfix_folders() {
	local folder
	mkdir -p "$SCRATCH/postfix/data" "$POSTFIX_MAIL" "$1"
	for folder in active bounce corrupt defer deferred flush hold \
	    incoming maildrop pid private public saved trace; do
		mkdir -p "$1/$folder"
		chown 64801 "$1/$folder"
		chmod 0700 "$1/$folder"
	done
	chown root "$1/pid"
	chmod 0755 "$1/pid"
	chown 64801:64802 "$1/maildrop" "$1/public"
	chmod 0730 "$1/maildrop"
	chmod 0710 "$1/public"
	chown 64801 "$SCRATCH/postfix/data"
	chown nobody "$POSTFIX_MAIL"
}

postfix_main_cf() {
	local root="$PACKAGES/postfix"
	cat <<-EOF
	compatibility_level = 3.6
	queue_directory = $SCRATCH/postfix/queue
	data_directory = $SCRATCH/postfix/data
	command_directory = $root/usr/sbin
	daemon_directory = $root/usr/lib/postfix/sbin
	mail_owner = postfix
	setgid_group = postdrop
	import_environment = MAIL_CONFIG LD_LIBRARY_PATH LD_PRELOAD
	  NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP TZ
	maillog_file = $POSTFIX_LOG
	maillog_file_prefixes = $SCRATCH
	myhostname = postfix.test
	mydestination =
	mynetworks = 127.0.0.0/8
	inet_interfaces = loopback-only
	inet_protocols = ipv4
	alias_maps =
	alias_database =
	virtual_mailbox_domains = static:all
	virtual_mailbox_base = $POSTFIX_MAIL
	virtual_mailbox_maps = static:all/
	virtual_minimum_uid = 1
	virtual_uid_maps = static:$(id -u nobody)
	virtual_gid_maps = static:$(id -g nobody)
	smtpd_recipient_restrictions = permit
	smtpd_client_connection_count_limit = 0
	in_flow_delay = 0
	queue_minfree = 0
	smtpd_tls_chain_files = $TLS/postfix.pem
	smtpd_tls_security_level = may
	smtpd_tls_loglevel = 1
	smtpd_tls_received_header = yes
	smtpd_sasl_type = dovecot
	smtpd_sasl_path = ${DOVECOT_AUTH:-none}
	smtpd_sasl_security_options = noanonymous
	smtpd_sasl_authenticated_header = yes
	smtpd_tls_auth_only = yes
	EOF
}

# A service that takes mail; its options follow.
postfix_smtpd() {
	local port="$1" option
	shift
	echo "$POSTFIX_ADDRESS:$port inet n - n - - smtpd"
	for option in "$@"; do
		echo "  -o $option"
	done
}

postfix_master_cf() {
	local login="smtpd_recipient_restrictions=permit_sasl_authenticated"
	login="$login,reject"
	postfix_smtpd "$POSTFIX_PORT"
	postfix_smtpd "$POSTFIX_LOGIN" smtpd_sasl_auth_enable=yes \
	    smtpd_tls_security_level=encrypt syslog_name=postfix/login \
	    "$login"
	postfix_smtpd "$POSTFIX_SMTPS" smtpd_sasl_auth_enable=yes \
	    smtpd_tls_wrappermode=yes syslog_name=postfix/smtps "$login"
	cat <<-EOF
	pickup unix n - n 60 1 pickup
	cleanup unix n - n - 0 cleanup
	qmgr unix n - n 300 1 qmgr
	tlsmgr unix - - n 1000? 1 tlsmgr
	rewrite unix - - n - - trivial-rewrite
	bounce unix - - n - 0 bounce
	defer unix - - n - 0 bounce
	trace unix - - n - 0 bounce
	verify unix - - n - 1 verify
	proxymap unix - - n - - proxymap
	virtual unix - n n - - virtual
	error unix - - n - - error
	retry unix - - n - - error
	anvil unix - - n - 1 anvil
	scache unix - - n - 1 scache
	postlog unix-dgram n - n - 1 postlogd
	EOF
}

postfix_start() {
	local root="$PACKAGES/postfix"
	POSTFIX_ADDRESS=${POSTFIX_ADDRESS:-127.0.0.1}
	POSTFIX_PORT=${POSTFIX_PORT:-$(suite_port)}
	POSTFIX_LOGIN=$(suite_port)
	POSTFIX_SMTPS=$(suite_port)
	POSTFIX_MAIL=$SCRATCH/postfix/mail
	POSTFIX_LOG=$SCRATCH/postfix/log
	[ -e "$TLS/postfix.pem" ] || { peer_ca good &&
	    peer_certificate postfix good postfix.test; }
	postfix_folders "$SCRATCH/postfix/queue"
	mkdir -p "$SCRATCH/postfix/etc"
	{
		postfix_main_cf
		[ -z "$1" ] || cat "$1"
	} >"$SCRATCH/postfix/etc/main.cf"
	{
		postfix_master_cf
		[ -z "$2" ] || cat "$2"
	} >"$SCRATCH/postfix/etc/master.cf"
	with_accounts "$root/usr/lib/postfix/sbin/master" \
	    -c "$SCRATCH/postfix/etc" >"$SCRATCH/postfix/stdout" 2>&1 &
	POSTFIX=$!
	PEERS="$PEERS $POSTFIX"
	wait_for 10 listens "$POSTFIX_ADDRESS" "$POSTFIX_SMTPS" || {
		diag "Postfix does not come up:" \
		    "$(tail -n 20 "$SCRATCH/postfix/stdout" "$POSTFIX_LOG")"
		return 1
	}
}

# ---- Dovecot

dovecot_conf() {
	cat <<-EOF
	base_dir = $SCRATCH/dovecot/run
	state_dir = $SCRATCH/dovecot/state
	log_path = $SCRATCH/dovecot/log
	protocols = lmtp
	listen = 127.0.0.1
	ssl = no
	auth_failure_delay = 0
	auth_mechanisms = plain login cram-md5 scram-sha-256
	mail_location = maildir:$DOVECOT_MAIL/%n
	first_valid_uid = 1
	first_valid_gid = 1
	default_vsz_limit = 0
	hostname = dovecot.test
	passdb {
	  driver = passwd-file
	  args = scheme=PLAIN username_format=%n $SCRATCH/dovecot/users
	}
	userdb {
	  driver = static
	  args = uid=nobody gid=nogroup home=$DOVECOT_MAIL/%n
	}
	service anvil {
	  unix_listener anvil-auth-penalty {
	    mode = 0
	  }
	}
	service auth {
	  unix_listener $DOVECOT_AUTH {
	    mode = 0666
	  }
	}
	service lmtp {
	  inet_listener lmtp {
	    address = 127.0.0.1
	    port = $LMTP_PORT
	  }
	  unix_listener $LMTP_SOCKET {
	    mode = 0666
	  }
	}
	EOF
}

dovecot_start() {
	LMTP_PORT=$(suite_port)
	LMTP_SOCKET=$SCRATCH/dovecot/lmtp
	DOVECOT_AUTH=$SCRATCH/dovecot/auth
	DOVECOT_MAIL=$SCRATCH/dovecot/mail
	mkdir -p "$DOVECOT_MAIL" "$SCRATCH/dovecot/run"
	chown nobody "$DOVECOT_MAIL"
	printf '%s\n' 'peer:pass word' 'other:another' \
	    >"$SCRATCH/dovecot/users"
	dovecot_conf >"$SCRATCH/dovecot/dovecot.conf"
	/usr/sbin/dovecot -F -c "$SCRATCH/dovecot/dovecot.conf" \
	    >"$SCRATCH/dovecot/stdout" 2>&1 &
	PEERS="$PEERS $!"
	wait_for 10 test -S "$LMTP_SOCKET" || {
		diag "Dovecot does not come up:" \
		    "$(tail -n 20 "$SCRATCH/dovecot/stdout" \
		    "$SCRATCH/dovecot/log")"
		return 1
	}
}

# ---- Exim

exim_conf() {
	cat <<-EOF
	exim_path = $SCRATCH/exim/exim4
	exim_user = Debian-exim
	exim_group = Debian-exim
	keep_environment = LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
	spool_directory = $SCRATCH/exim/spool
	log_file_path = $SCRATCH/exim/log/%slog
	log_selector = +tls_cipher +tls_sni +smtp_confirmation
	primary_hostname = exim.test
	local_interfaces = 127.0.0.1
	daemon_smtp_ports = $EXIM_PORT
	pid_file_path = $SCRATCH/exim/pid
	tls_advertise_hosts = *
	tls_certificate = $TLS/exim.pem
	tls_privatekey = $TLS/exim.pem
	acl_smtp_rcpt = accept
	acl_smtp_data = accept
	never_users =
	deliver_drop_privilege
	dns_ipv4_lookup = *
	host_lookup =
	rfc1413_hosts =
	begin routers
	everybody:
	  driver = accept
	  transport = maildir
	begin transports
	maildir:
	  driver = appendfile
	  maildir_format
	  directory = $EXIM_MAIL
	  create_directory
	begin retry
	* * F,1h,1m
	EOF
}

exim_start() {
	EXIM_PORT=$(suite_port)
	EXIM_MAIL=$SCRATCH/exim/mail
	EXIM_LOG=$SCRATCH/exim/log/mainlog
	[ -e "$TLS/exim.pem" ] || { peer_ca good &&
	    peer_certificate exim good exim.test; }
	mkdir -p "$EXIM_MAIL" "$SCRATCH/exim/spool" "$SCRATCH/exim/log"
	chown 64803:64803 "$EXIM_MAIL" "$SCRATCH/exim/spool" "$SCRATCH/exim/log"
	{
		[ -z "$1" ] || cat "$1"
		exim_conf
	} >"$SCRATCH/exim/exim.conf"
	# It starts itself anew as its account, which may not reach ours.
	cp "$PACKAGES/exim4-daemon-light/usr/sbin/exim4" "$SCRATCH/exim/"
	with_accounts "$SCRATCH/exim/exim4" \
	    -C "$SCRATCH/exim/exim.conf" -bdf -q1h \
	    >"$SCRATCH/exim/stdout" 2>&1 &
	PEERS="$PEERS $!"
	wait_for 10 listens 127.0.0.1 "$EXIM_PORT" || {
		diag "Exim does not come up:" \
		    "$(tail -n 20 "$SCRATCH/exim/stdout" "$EXIM_LOG")"
		return 1
	}
}
