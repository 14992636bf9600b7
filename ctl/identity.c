/*
 * Who calls, and how that is written in a From field.
 */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account.h"
#include "address.h"
#include "ctl.h"

#define WORD_MAX	75		/* RFC 2047 2: an encoded word */

/* Put a login into a form that can stand in an address. */
static void
print_login(const char *login, char *text, size_t size)
{
	struct address	address;

	memset(&address, 0, sizeof(address));
	snprintf(address.local, sizeof(address.local), "%s", login);
	address_print(&address, text, size);
}

void
identity_find(struct identity *identity)
{
	const char	*login = getenv("LOGNAME");
	struct account	 account;
	uid_t		 uid = getuid();

	memset(identity, 0, sizeof(*identity));
	/* Of several accounts with one uid, the one that logged in. */
	if (login != NULL &&
	    account_by_name(login, &account) == ACCOUNT_YES) {
		if (account.uid == uid)
			goto found;
		account_free(&account);
	}
	if (account_by_uid(uid, &account) != ACCOUNT_YES) {
		snprintf(identity->login, sizeof(identity->login), "uid-%u",
		    uid);
		return;
	}
found:
	print_login(account.name, identity->login, sizeof(identity->login));
	identity_full_name(account.gecos, account.name, identity->gecos,
	    sizeof(identity->gecos));
	snprintf(identity->home, sizeof(identity->home), "%s", account.home);
	account_free(&account);
}

void
identity_full_name(const char *gecos, const char *login, char *name,
    size_t size)
{
	size_t	used = 0;

	for (; *gecos != '\0' && *gecos != ','; gecos++) {
		if (*gecos != '&') {
			if (used + 1 < size)
				name[used++] = *gecos;
			continue;
		}
		for (size_t i = 0; login[i] != '\0' && used + 1 < size; i++)
			name[used++] = i > 0 ? login[i] :
			    toupper((unsigned char)login[i]);
	}
	name[used] = '\0';
}

/* How many octets the UTF-8 character at text has; 0 if it is none. */
static size_t
utf8_length(const char *text)
{
	unsigned char	first = text[0];
	size_t		length, i;

	length = first < 0x80 ? 1 : first >= 0xf0 && first < 0xf5 ? 4 :
	    first >= 0xe0 && first < 0xf0 ? 3 :
	    first >= 0xc2 && first < 0xe0 ? 2 : 0;
	for (i = 1; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static bool
is_utf8(const char *text)
{
	size_t	length;

	for (; *text != '\0'; text += length)
		if ((length = utf8_length(text)) == 0)
			return false;
	return true;
}

/* Write a name as encoded words of RFC 2047. */
static void
write_encoded(FILE *out, const char *name)
{
	const char	*charset = is_utf8(name) ? "UTF-8" : "unknown-8bit";
	size_t		 start, used, length;

	start = strlen("=??Q?") + strlen(charset);
	used = 0;
	while (*name != '\0') {
		length = utf8_length(name);
		if (length == 0 || charset[0] == 'u')
			length = 1;
		if (used == 0 || used + 3 * length + 2 > WORD_MAX) {
			fprintf(out, "%s=?%s?Q?", used == 0 ? "" : "?= ",
			    charset);
			used = start;
		}
		for (; length > 0; length--, name++) {
			if (isascii((unsigned char)*name) &&
			    isalnum((unsigned char)*name)) {
				putc(*name, out);
				used++;
			} else if (*name == ' ') {
				putc('_', out);
				used++;
			} else {
				fprintf(out, "=%02X", (unsigned char)*name);
				used += 3;
			}
		}
	}
	if (used > 0)
		fputs("?=", out);
}

/* Write a name as a phrase: words, a quoted string or encoded words. */
static void
write_phrase(FILE *out, const char *name)
{
	bool	plain = true;

	for (const char *at = name; *at != '\0'; at++) {
		if (!isascii((unsigned char)*at)) {
			write_encoded(out, name);
			return;
		}
		if (!isalnum((unsigned char)*at) &&
		    strchr(" !#$%&'*+-/=?^_`{|}~", *at) == NULL)
			plain = false;
	}
	if (plain) {
		fputs(name, out);
		return;
	}
	putc('"', out);
	for (; *name != '\0'; name++) {
		if (*name == '"' || *name == '\\')
			putc('\\', out);
		putc(*name, out);
	}
	putc('"', out);
}

void
identity_from(const char *name, const char *address, char *text, size_t size)
{
	char	 clean[256];
	size_t	 used = 0;
	FILE	*out;

	for (; *name != '\0' && used + 1 < sizeof(clean); name++)
		if ((unsigned char)*name >= ' ' && *name != 127)
			clean[used++] = *name;
	clean[used] = '\0';

	if ((out = fmemopen(text, size, "w")) == NULL) {
		text[0] = '\0';
		return;
	}
	fputs("From: ", out);
	if (clean[strspn(clean, " ")] == '\0')
		fputs(address, out);
	else {
		write_phrase(out, clean);
		fprintf(out, " <%s>", address);
	}
	fputs("\r\n", out);
	fclose(out);
	text[size - 1] = '\0';
}
