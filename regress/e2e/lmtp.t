#!/bin/sh
# Dovecot by LMTP, over TCP and over its Unix socket: a reply for each
# recipient.
. "$(dirname "$0")/suite.sh"
. "$(dirname "$0")/peers.sh"
need_root
need /usr/sbin/dovecot perl
[ -x /usr/lib/dovecot/lmtp ] || skip_all "needs dovecot-lmtpd"

dovecot_start || skip_all "no Dovecot"
suite_conf <<EOF
  retry-min       = 1h
  retry-max       = 1h
[smtpd "mx"]
  listen-port     = 127.0.0.1:$PORT
[relay "dovecot"]
  address         = 127.0.0.1:$LMTP_PORT
  protocol        = lmtp
[route]
  @client.test    discard()
  @tcp.test       lmtp(127.0.0.1:$LMTP_PORT)
  @socket.test    lmtp($LMTP_SOCKET)
  @section.test   dovecot
  @gone.test      lmtp($SCRATCH/no-such-socket)
  @later.test     lmtp($SCRATCH/later-socket)
EOF
ok "postmaster -n is content" "$STAGE/usr/sbin/postmaster" -n -f "$CF"
suite_start

# One message to these, all in one transaction.
together() {
	perl -MNet::SMTP -e '
		my ($port, $subject, @to) = @ARGV;
		my $smtp = Net::SMTP->new("127.0.0.1", Port => $port);
		$smtp->mail("me\@client.test");
		for my $to (@to) {
			$smtp->to($to) or die $smtp->message;
		}
		my $filler = $subject =~ /X-Filler: (\d+)/ ? $1 : 0;
		$smtp->data("Subject: $subject\n\n", ".\n", "text\n",
		    ("x" x 70 . "\n") x ($filler / 71)) or
		    die $smtp->message;
		$smtp->quit' "$PORT" "$@"
}
for by in tcp socket section; do
	ok "by $by: to two users and one that is none" together "by $by" \
	    "peer@$by.test" "nobody@$by.test" "other@$by.test"
	becomes "the first has it" "peer@$by.test" \
	    'relayed .*reply="?250 2\.0\.0 <peer@'
	becomes "the second has it" "other@$by.test" \
	    'relayed .*reply="?250 2\.0\.0 <other@'
	becomes "the third is refused by its own reply" "nobody@$by.test" \
	    'bounced .*status=5\.1\.1 .*550 5\.1\.1 <nobody@'
	is "one copy each" "$(peer_mail "$DOVECOT_MAIL/peer/new" \
	    "^Subject: by $by") $(peer_mail "$DOVECOT_MAIL/other/new" \
	    "^Subject: by $by")" "1 1"
done
like "the log names the socket" "$(outcome_of peer@socket.test)" \
    "relay=\"?$LMTP_SOCKET"
ok "a large one over the socket" together "large
X-Filler: 300000" peer@socket.test
ok "is there whole" wait_for_peer_mail 15 "$DOVECOT_MAIL/peer/new" \
    '^X-Filler: '

post me@client.test x@gone.test peer@later.test
becomes "no such socket: it waits" x@gone.test \
    'deferred .*No such file'
becomes "another one, too" peer@later.test 'deferred .*No such file'
ln "$LMTP_SOCKET" "$SCRATCH/later-socket"
ok "now it is there" postctl run all
ok "and the mail goes" wait_for_log 15 'relayed .*to=peer@later\.test'
done_testing
