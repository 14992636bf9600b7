/* links: smtpd/parameter.c */
/*
 * Parameters of MAIL and RCPT: what is taken fits its grammar and the wire,
 * and is taken again in the same way.
 */
#include <ctype.h>

#include "fuzz.h"
#include "smtpd/smtpd.h"

static bool
is_xtext(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~' || *text == '=')
			return false;
	return true;
}

static void
of_mail(const char *text)
{
	struct mail_parameters mail, again;
	char line[256];

	if (parameters_of_mail(text, &mail) != PARAMETER_OK)
		return;
	require(fuzz_is_printable(text));
	require(is_xtext(mail.envid) && strlen(mail.envid) <= 100);
	require(mail.body <= BODY_8BITMIME && mail.ret <= RET_HDRS);
	(void)snprintf(line, sizeof(line), " SIZE=%llu BODY=%s%s%s%s",
	    (unsigned long long)mail.size,
	    mail.body == BODY_7BIT ? "7bit" : "8bitmime",
	    mail.ret == RET_FULL ? " RET=full" :
	    mail.ret == RET_HDRS ? " ret=HDRS" : "",
	    mail.envid[0] != '\0' ? " ENVID=" : "", mail.envid);
	require(parameters_of_mail(line, &again) == PARAMETER_OK);
	require(mail.size == again.size && mail.body == again.body &&
	    mail.ret == again.ret && strcmp(mail.envid, again.envid) == 0);
}

static void
of_rcpt(const char *text)
{
	struct rcpt_parameters rcpt, again;
	char line[600], *semicolon;

	if (parameters_of_rcpt(text, &rcpt) != PARAMETER_OK)
		return;
	require(fuzz_is_printable(text));
	require(rcpt.notify < 16);
	require((rcpt.notify & NOTIFY_NEVER) == 0 ||
	    rcpt.notify == NOTIFY_NEVER);
	if (rcpt.orcpt[0] == '\0')
		return;
	semicolon = strchr(rcpt.orcpt, ';');
	require(semicolon != NULL && semicolon != rcpt.orcpt &&
	    semicolon[1] != '\0' && is_xtext(semicolon + 1));
	(void)snprintf(line, sizeof(line), "ORCPT=%s", rcpt.orcpt);
	require(parameters_of_rcpt(line, &again) == PARAMETER_OK &&
	    strcmp(rcpt.orcpt, again.orcpt) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	char *text = fuzz_rest(&in);

	of_mail(text);
	of_rcpt(text);
	free(text);
	return 0;
}
