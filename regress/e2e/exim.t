#!/bin/sh
# Exim takes our mail: TLS, SIZE, 8-bit text, dots, long lines, many
# recipients, refusals.
. "$(dirname "$0")/suite.sh"
. "$(dirname "$0")/peers.sh"
need_root
need_unpacked exim4-daemon-light
need_accounts
need perl

peer_ca good
peer_certificate exim good exim.test
cat >"$SCRATCH/exim.first" <<'EOF'
message_size_limit = 100K
acl_not_smtp = accept
EOF
exim_start "$SCRATCH/exim.first" || skip_all "no Exim"
# This Exim refuses some.
perl -0pi -e 's/acl_smtp_rcpt = accept\n/acl_smtp_rcpt = rcpt\n/;
    s/begin routers\n/begin acl\nrcpt:\n  deny local_parts = nobody\n' \
    -e '    message = no such user here\n  defer local_parts = later\n' \
    -e '    message = try again\n  accept\nbegin routers\n/' \
    "$SCRATCH/exim/exim.conf"
kill -HUP "${PEERS##* }"
wait_for 5 listens 127.0.0.1 "$EXIM_PORT"

suite_conf <<EOF
  retry-min       = 1h
  retry-max       = 1h
[smtpd "mx"]
  listen-port     = 127.0.0.1:$PORT
[relay "exim"]
  name            = exim.test
  address         = 127.0.0.1:$EXIM_PORT
  tls             = verified
  tls-ca-file     = $TLS/good.pem
  max-rcpt-to     = 3
[route]
  @client.test    discard()
  @               exim
EOF
suite_start
send() {
	perl -MNet::SMTP -e '
		my ($port, $file, @to) = @ARGV;
		my $smtp = Net::SMTP->new("127.0.0.1", Port => $port);
		$smtp->mail("me\@client.test", Bits => "8");
		for my $to (@to) {
			$smtp->to($to) or die $smtp->message;
		}
		open(my $in, "<", $file);
		$smtp->data(<$in>) or die $smtp->message;
		$smtp->quit' "$PORT" "$@"
}
{
	printf 'Subject: odd lines\nX-Long: %s\n\n' \
	    "$(head -c 3000 /dev/zero | tr '\0' 'h')"
	printf '.\n..\n.dot\nFrom here\n\303\244\303\266\n'
	head -c 5000 /dev/zero | tr '\0' 'b'
	printf '\nlast line\n'
} >"$SCRATCH/odd"
ok "a message of odd lines" send "$SCRATCH/odd" odd@a.test
becomes "goes by TLS" odd@a.test 'relayed .*tls="TLSv1\.3 .*verified'
ok "and is there" wait_for_peer_mail 10 "$EXIM_MAIL" '^Subject: odd lines'
file=$(grep -lr '^Subject: odd lines' "$EXIM_MAIL")
is "dots and 8-bit text as they were" "$(sed -n '/^$/,$p' "$file" |
    sed -n '2,6p')" "$(sed -n '/^$/,$p' "$SCRATCH/odd" | sed -n '2,6p')"
is "the last line is the last" "$(tail -n 1 "$file")" "last line"
is "no line is longer than may be" \
    "$(awk 'length > 998' "$file" | wc -l)" 0
is "nothing of the long one is lost" \
    "$(sed '1,/^$/d' "$file" | tr -cd b | wc -c)" 5000

printf 'Subject: large\n\n%s\n' "$(head -c 150000 /dev/zero | tr '\0' x |
    fold -w 70)" >"$SCRATCH/large"
ok "one that is larger than Exim takes" send "$SCRATCH/large" large@a.test
becomes "goes back" large@a.test 'bounced .*status=5\.3\.4'
not_ok "before it was sent" grep -q 'message too big' "$EXIM_LOG"

printf 'Subject: many\n\ntext\n' >"$SCRATCH/many"
ok "seven recipients, three a transaction" send "$SCRATCH/many" 1@m.test \
    2@m.test 3@m.test 4@m.test 5@m.test 6@m.test 7@m.test
for n in 1 2 3 4 5 6 7; do
	becomes "number $n" $n@m.test 'relayed '
done
is "in three transactions" "$(grep -c \
    "transaction id=$(outcome_of 1@m.test | sed 's/.* id=\([^ ]*\) .*/\1/') " \
    "$SCRATCH/log")" 3
ok "one to somebody, nobody and one for later" send "$SCRATCH/many" \
    good@b.test nobody@b.test later@b.test
becomes "arrives" good@b.test 'relayed '
becomes "is refused" nobody@b.test \
    'bounced .*550 .*no such user here'
becomes "waits" later@b.test 'deferred .*451 .*try again'
done_testing
