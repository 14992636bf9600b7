/*
 * The parameters of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152) and DSN
 * (RFC 3461).  Pure.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "smtpd.h"

#define KEYWORD_MAX	16	/* longer ones are none of ours */
#define VALUE_MAX	512
#define ENVID_MAX	100	/* RFC 3461 4.4 */
#define ORCPT_MAX	500	/* RFC 3461 4.2 */
#define SIZE_DIGITS	20	/* RFC 1870 3 */

/* Store a value in a struct of parameters; -1 if it is malformed. */
typedef int	(*take_fn)(void *, const char *);

struct parameter {
	const char	*keyword;
	take_fn		 take;
};

struct name {
	const char	*text;
	uint32_t	 value;
};

static const struct name bodies[] = {
	{ "7BIT", BODY_7BIT }, { "8BITMIME", BODY_8BITMIME }, { NULL, 0 }
};

static const struct name returns[] = {
	{ "FULL", RET_FULL }, { "HDRS", RET_HDRS }, { NULL, 0 }
};

static const struct name notices[] = {
	{ "NEVER", NOTIFY_NEVER }, { "SUCCESS", NOTIFY_SUCCESS },
	{ "FAILURE", NOTIFY_FAILURE }, { "DELAY", NOTIFY_DELAY }, { NULL, 0 }
};

/* Find a name of this length without case; -1 if there is none. */
static int
find_name(const struct name *names, const char *text, size_t length,
    uint32_t *value)
{
	for (; names->text != NULL; names++)
		if (strlen(names->text) == length &&
		    strncasecmp(names->text, text, length) == 0) {
			*value = names->value;
			return 0;
		}
	return -1;
}

static bool
is_xtext(const char *text)
{
	static const char digits[] = "0123456789ABCDEF";

	for (; *text != '\0'; text++) {
		if (*text < '!' || *text > '~' || *text == '=')
			return false;
		if (*text == '+') {
			if (text[1] == '\0' || text[2] == '\0' ||
			    strchr(digits, text[1]) == NULL ||
			    strchr(digits, text[2]) == NULL)
				return false;
			text += 2;
		}
	}
	return true;
}

static int
take_size(void *into, const char *value)
{
	struct mail_parameters *mail = into;
	size_t digits = strspn(value, "0123456789");

	if (digits == 0 || digits > SIZE_DIGITS || value[digits] != '\0')
		return -1;
	mail->size = 0;
	for (; *value != '\0'; value++)
		if (__builtin_mul_overflow(mail->size, 10, &mail->size) ||
		    __builtin_add_overflow(mail->size,
		    (uint64_t)(*value - '0'), &mail->size)) {
			mail->size = UINT64_MAX;
			break;
		}
	return 0;
}

static int
take_body(void *into, const char *value)
{
	struct mail_parameters *mail = into;
	uint32_t body;

	if (find_name(bodies, value, strlen(value), &body) == -1)
		return -1;
	mail->body = (enum body_type)body;
	return 0;
}

static int
take_ret(void *into, const char *value)
{
	struct mail_parameters *mail = into;
	uint32_t ret;

	if (find_name(returns, value, strlen(value), &ret) == -1)
		return -1;
	mail->ret = (enum dsn_ret)ret;
	return 0;
}

static int
take_envid(void *into, const char *value)
{
	struct mail_parameters *mail = into;

	if (*value == '\0' || strlen(value) > ENVID_MAX || !is_xtext(value))
		return -1;
	(void)snprintf(mail->envid, sizeof(mail->envid), "%s", value);
	return 0;
}

/* NEVER by itself, or a list of the others. */
static int
take_notify(void *into, const char *value)
{
	struct rcpt_parameters *rcpt = into;
	uint32_t notice, set = 0;
	size_t length;

	for (;;) {
		length = strcspn(value, ",");
		if (find_name(notices, value, length, &notice) == -1 ||
		    (set & notice) != 0)
			return -1;
		set |= notice;
		if (value[length] == '\0')
			break;
		value += length + 1;
	}
	if ((set & NOTIFY_NEVER) != 0 && set != NOTIFY_NEVER)
		return -1;
	rcpt->notify = set;
	return 0;
}

/* A type of address, a semicolon, the address. */
static int
take_orcpt(void *into, const char *value)
{
	struct rcpt_parameters *rcpt = into;
	const char *p;

	for (p = value; isalnum((unsigned char)*p) || *p == '-'; p++)
		continue;
	if (p == value || *p != ';' || p[1] == '\0' ||
	    strlen(value) > ORCPT_MAX || !is_xtext(p + 1))
		return -1;
	(void)snprintf(rcpt->orcpt, sizeof(rcpt->orcpt), "%s", value);
	return 0;
}

static const struct parameter of_mail[] = {
	{ "SIZE",	take_size },
	{ "BODY",	take_body },
	{ "RET",	take_ret },
	{ "ENVID",	take_envid },
	{ NULL,		NULL }
};

static const struct parameter of_rcpt[] = {
	{ "NOTIFY",	take_notify },
	{ "ORCPT",	take_orcpt },
	{ NULL,		NULL }
};

/* Cut "keyword=value" in two; -1 if it cannot be a parameter. */
static int
split(const char *text, size_t length, char *keyword, char *value)
{
	const char *equals = memchr(text, '=', length);
	size_t head = equals != NULL ? (size_t)(equals - text) : length;
	size_t tail = equals != NULL ? length - head - 1 : 0;
	size_t i;

	if (head == 0 || tail >= VALUE_MAX || (equals != NULL && tail == 0))
		return -1;
	for (i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return -1;
	if (head >= KEYWORD_MAX)
		head = KEYWORD_MAX - 1;
	memcpy(keyword, text, head);
	keyword[head] = '\0';
	if (equals != NULL)
		memcpy(value, equals + 1, tail);
	value[tail] = '\0';
	return 0;
}

/* Take each parameter once by its row. */
static enum parameter_result
parse(const char *text, const struct parameter *table, void *into)
{
	char keyword[KEYWORD_MAX], value[VALUE_MAX];
	const struct parameter *row;
	unsigned int seen = 0, bit;
	size_t length;

	for (;;) {
		text += strspn(text, " ");
		if ((length = strcspn(text, " ")) == 0)
			return PARAMETER_OK;
		if (split(text, length, keyword, value) == -1)
			return PARAMETER_BAD;
		for (row = table; row->keyword != NULL; row++)
			if (strcasecmp(row->keyword, keyword) == 0)
				break;
		if (row->keyword == NULL)
			return PARAMETER_UNKNOWN;
		bit = 1U << (row - table);
		if ((seen & bit) != 0 || row->take(into, value) == -1)
			return PARAMETER_BAD;
		seen |= bit;
		text += length;
	}
}

enum parameter_result
parameters_of_mail(const char *text, struct mail_parameters *mail)
{
	memset(mail, 0, sizeof(*mail));
	return parse(text, of_mail, mail);
}

enum parameter_result
parameters_of_rcpt(const char *text, struct rcpt_parameters *rcpt)
{
	memset(rcpt, 0, sizeof(*rcpt));
	return parse(text, of_rcpt, rcpt);
}
