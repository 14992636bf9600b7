#!/bin/sh
# smtpd -n: what it complains of in its part of the configuration.
SMTPD=${BUILD:-build}/smtpd/smtpd
TESTS=0
FAILED=0

# complains STATUS PATTERN CONFIGURATION
complains() {
	TESTS=$((TESTS + 1))
	said=$(printf '%b' "$3" | "$SMTPD" -n 2>&1)
	status=$?
	if [ $status -eq "$1" ] && printf '%s\n' "$said" | grep -q "$2"; then
		printf 'ok %d - %s\n' $TESTS "$3"
	else
		FAILED=1
		printf 'not ok %d - %s\n' $TESTS "$3"
		echo "# $status: $said"
	fi
}

complains 0 '^$' '[smtpd "a"]\n trusted = none\n'
complains 0 '^$' '[smtpd "a"]\n trusted = 10.0.0.0/8 2001:db8::/32\n'
complains 1 ':2:12: .*no network' '[smtpd "a"]\n trusted = 10.0.0.0/33\n'
complains 1 'open this server' '[smtpd "a"]\n trusted = 10.0.0.0/7\n'
complains 1 'open this server' '[smtpd "a"]\n trusted = ::/6\n'
complains 0 'less than RFC 5321' '[smtpd "a"]\n max-recipients = 50\n'
complains 0 'less than RFC 5321' '[smtpd "a"]\n command-timeout = 30s\n'
complains 1 'must be from' '[smtpd "a"]\n max-recipients = 0\n'
complains 1 'must be from' '[smtpd "a"]\n command-timeout = 0\n'
complains 1 'must be from' '[smtpd "a"]\n ipv4-prefix = 33\n'
complains 0 'less than RFC 5321' '[core]\n message-size = 1k\n'
echo "1..$TESTS"
exit $FAILED
