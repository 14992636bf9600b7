/*
 * Answers of the DNS (RFC 1035 4.1), taken apart.  Whoever answers may be
 * hostile: every octet is read through a cursor that knows where the message
 * ends.  Opens nothing, asks nothing.
 */
#include <arpa/inet.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "dns_parse.h"
#include "log.h"

#define HEADER		12
#define CLASS_IN	1
#define LABEL_MAX	63
#define NAME_MAX_OCTETS	255	/* of a name in a message */
#define POINTERS_MAX	127	/* in one name */
#define LINKS_MAX	16	/* CNAMEs that are followed */
#define RCODE_OK	0
#define RCODE_FORMERR	1
#define RCODE_SERVFAIL	2
#define RCODE_NXDOMAIN	3
#define RCODE_REFUSED	5

#define MALFORMED	"the answer is malformed"

struct message {
	const uint8_t	*octets;
	size_t		 length;
	size_t		 at;		/* what is read next */
};

/* A resource record; its data begin at data. */
struct record {
	size_t		 owner;
	uint16_t	 type;
	uint16_t	 class;
	uint32_t	 ttl;
	size_t		 data;
	uint16_t	 length;
};

/* ---- names ---- */

int
dns_name(const char *text, char name[DNS_NAME])
{
	size_t n = 0, label = 0;

	for (; *text != '\0'; text++) {
		if (*text == '.' && text[1] == '\0' && label > 0)
			break;
		if (*text <= ' ' || *text > '~' || *text == '\\' ||
		    (*text == '.' ? label == 0 : label == LABEL_MAX) ||
		    n >= 253)
			return -1;
		label = *text == '.' ? 0 : label + 1;
		name[n++] = (char)tolower((unsigned char)*text);
	}
	name[n] = '\0';
	return label > 0 ? 0 : -1;
}

/* ---- reading ---- */

static size_t
left(const struct message *m)
{
	return m->length - m->at;
}

static int
read_u16(struct message *m, uint16_t *value)
{
	if (left(m) < 2)
		return -1;
	*value = (uint16_t)(m->octets[m->at] << 8 | m->octets[m->at + 1]);
	m->at += 2;
	return 0;
}

static int
read_u32(struct message *m, uint32_t *value)
{
	uint16_t high, low;

	if (read_u16(m, &high) == -1 || read_u16(m, &low) == -1)
		return -1;
	*value = (uint32_t)high << 16 | low;
	return 0;
}

/* Add a label to a name; false if the name is none of ours then. */
static bool
add_label(char name[DNS_NAME], size_t *n, const uint8_t *label, size_t length)
{
	size_t i;

	if (*n + length + 2 > DNS_NAME)
		return false;
	if (*n > 0)
		name[(*n)++] = '.';
	for (i = 0; i < length; i++) {
		if (label[i] <= ' ' || label[i] > '~' || label[i] == '.' ||
		    label[i] == '\\')
			return false;
		name[(*n)++] = (char)tolower(label[i]);
	}
	return true;
}

/*
 * Go on with a name where the pointer at m->at leads; it must lead further
 * back than any before it, so that there is an end.
 */
static int
follow_pointer(struct message *m, size_t *barrier)
{
	uint16_t pointer;

	if (read_u16(m, &pointer) == -1 || (pointer & 0x3fff) >= *barrier)
		return -1;
	*barrier = m->at = pointer & 0x3fff;
	return 0;
}

/*
 * Read a name, compressed or not.  *usable tells whether its text is in name:
 * not so of names with odd octets.  Returns -1 if it is malformed.
 */
static int
read_name(struct message *m, char name[DNS_NAME], bool *usable)
{
	struct message at = *m;
	size_t n = 0, barrier = m->at, length, octets = 0;
	int pointers = 0;

	*usable = true;
	for (;;) {
		if (left(&at) < 1)
			return -1;
		length = at.octets[at.at];
		if (length >= 0xc0) {
			if (pointers++ == 0)
				m->at = at.at + 2;
			if (pointers > POINTERS_MAX ||
			    follow_pointer(&at, &barrier) == -1)
				return -1;
			continue;
		}
		octets += length + 1;
		if (length > LABEL_MAX || octets > NAME_MAX_OCTETS ||
		    length + 1 > left(&at))
			return -1;
		at.at++;
		if (length == 0)
			break;
		if (*usable)
			*usable = add_label(name, &n, at.octets + at.at,
			    length);
		at.at += length;
	}
	name[*usable ? n : 0] = '\0';
	if (pointers == 0)
		m->at = at.at;
	return 0;
}

static int
skip_name(struct message *m)
{
	size_t length, octets;

	do {
		if (left(m) < 1)
			return -1;
		length = m->octets[m->at];
		octets = length >= 0xc0 ? 2 : length + 1;
		if ((length > LABEL_MAX && length < 0xc0) || octets > left(m))
			return -1;
		m->at += octets;
	} while (length > 0 && length < 0xc0);
	return 0;
}

static int
read_record(struct message *m, struct record *record)
{
	record->owner = m->at;
	if (skip_name(m) == -1 || read_u16(m, &record->type) == -1 ||
	    read_u16(m, &record->class) == -1 ||
	    read_u32(m, &record->ttl) == -1 ||
	    read_u16(m, &record->length) == -1 || record->length > left(m))
		return -1;
	if (record->ttl > INT32_MAX)	/* RFC 2181 8 */
		record->ttl = 0;
	record->data = m->at;
	m->at += record->length;
	return 0;
}

/* A name within a record's data; -1 if it is malformed or leads out. */
static int
read_data_name(const struct message *m, const struct record *record,
    size_t offset, char name[DNS_NAME], bool *usable)
{
	struct message data = *m;

	if (offset >= record->length)
		return -1;
	data.length = record->data + record->length;
	data.at = record->data + offset;
	return read_name(&data, name, usable);
}

static bool
is_owned(const struct message *m, const struct record *record,
    const char *name)
{
	struct message owner = *m;
	char text[DNS_NAME];
	bool usable;

	owner.at = record->owner;
	return record->class == CLASS_IN &&
	    read_name(&owner, text, &usable) == 0 && usable &&
	    strcmp(text, name) == 0;
}

/* ---- what was found ---- */

struct dns_found *
dns_found_new(void)
{
	struct dns_found *found;

	if ((found = calloc(1, sizeof(*found))) == NULL)
		fatal("calloc");
	found->size = sizeof(*found);
	return found;
}

struct dns_found *
dns_found_failed(const char *reason)
{
	struct dns_found *found = dns_found_new();

	found->result = DNS_FAILED;
	found->reason = reason;
	return found;
}

struct dns_found *
dns_found_hold(struct dns_found *found)
{
	found->holders++;
	return found;
}

void
dns_found_free(struct dns_found *found)
{
	size_t i;

	if (found == NULL || found->holders-- > 0)
		return;
	for (i = 0; found->tlsa != NULL && i < found->count; i++)
		free(__DECONST(uint8_t *, found->tlsa[i].octets));
	free(found->addresses);
	free(found->exchanges);
	free(found->tlsa);
	free(found);
}

/* Room for one more in a list. */
static void *
grow(struct dns_found *found, void *list, size_t size)
{
	if ((list = reallocarray(list, found->count + 1, size)) == NULL)
		fatal("reallocarray");
	found->size += size;
	return list;
}

void
dns_found_add(struct dns_found *found, const struct netaddr *address)
{
	if (found->count == DNS_RECORDS)
		return;
	found->addresses = grow(found, found->addresses, sizeof(*address));
	found->addresses[found->count++] = *address;
}

/* ---- records ---- */

static int
add_address(struct dns_found *found, const struct message *m,
    const struct record *record)
{
	struct netaddr address;
	size_t length = record->type == DNS_A ? 4 : 16;

	if (record->length != length)
		return -1;
	memset(&address, 0, sizeof(address));
	address.family = record->type == DNS_A ? 4 : 6;
	memcpy(address.octets, m->octets + record->data, length);
	dns_found_add(found, &address);
	return 0;
}

/* Keep those with the least preference, in order. */
static int
add_exchange(struct dns_found *found, const struct message *m,
    const struct record *record)
{
	struct message data = *m;
	struct dns_exchange exchange, *list;
	bool usable;
	size_t i;

	data.at = record->data;
	if (record->length < 3 ||
	    read_u16(&data, &exchange.preference) == -1 ||
	    read_data_name(m, record, 2, exchange.name, &usable) == -1)
		return -1;
	if (!usable)
		return 0;
	if (found->count < DNS_RECORDS) {
		found->exchanges = grow(found, found->exchanges,
		    sizeof(exchange));
		found->count++;
	} else if (found->exchanges[found->count - 1].preference <=
	    exchange.preference)
		return 0;
	list = found->exchanges;
	for (i = found->count - 1; i > 0 &&
	    list[i - 1].preference > exchange.preference; i--)
		list[i] = list[i - 1];
	list[i] = exchange;
	return 0;
}

static int
add_tlsa(struct dns_found *found, const struct message *m,
    const struct record *record)
{
	const uint8_t *data = m->octets + record->data;
	struct dns_tlsa *tlsa;
	uint8_t *octets;

	if (record->length < 3)
		return -1;
	if (found->count == DNS_RECORDS)
		return 0;
	found->tlsa = grow(found, found->tlsa, sizeof(*tlsa));
	if ((octets = malloc(record->length)) == NULL)
		fatal("malloc");
	tlsa = &found->tlsa[found->count++];
	tlsa->usage = data[0];
	tlsa->selector = data[1];
	tlsa->matching = data[2];
	tlsa->length = (uint16_t)(record->length - 3);
	memcpy(octets, data + 3, tlsa->length);
	tlsa->octets = octets;
	found->size += tlsa->length;
	return 0;
}

static int
add_record(struct dns_found *found, const struct message *m,
    const struct record *record)
{
	if (record->ttl < found->ttl)
		found->ttl = record->ttl;
	switch (record->type) {
	case DNS_MX:
		return add_exchange(found, m, record);
	case DNS_TLSA:
		return add_tlsa(found, m, record);
	default:
		return add_address(found, m, record);
	}
}

/* ---- the message ---- */

/*
 * Go through the answers for the records of found->name, and for a CNAME of
 * it.  Returns 1 with the name replaced if there is only a CNAME; 0 if that
 * was all, -1 if it is malformed.
 */
static int
read_answers(struct message m, uint16_t records, enum dns_type type,
    struct dns_found *found, bool *any)
{
	struct record record;
	char alias[DNS_NAME] = "";
	bool usable = true, aliased = false;
	uint32_t ttl = 0;

	for (; records > 0; records--) {
		if (read_record(&m, &record) == -1)
			return -1;
		if (record.type != type && record.type != DNS_CNAME)
			continue;
		if (!is_owned(&m, &record, found->name))
			continue;
		if (record.type == type) {
			*any = true;
			if (add_record(found, &m, &record) == -1)
				return -1;
		} else if (!aliased) {
			aliased = true;
			ttl = record.ttl;
			if (read_data_name(&m, &record, 0, alias,
			    &usable) == -1)
				return -1;
		}
	}
	if (*any || !aliased)
		return 0;
	if (!usable || alias[0] == '\0')
		return -1;
	strlcpy(found->name, alias, sizeof(found->name));
	if (ttl < found->ttl)
		found->ttl = ttl;
	return 1;
}

/* RFC 2308 5: how long it may be believed that there is nothing. */
static uint32_t
negative_ttl(struct message m, unsigned int answers, unsigned int authorities)
{
	struct record record;
	uint32_t least;

	for (; answers > 0; answers--)
		if (read_record(&m, &record) == -1)
			return 0;
	for (; authorities > 0; authorities--) {
		if (read_record(&m, &record) == -1)
			return 0;
		if (record.type != DNS_SOA || record.length < 4)
			continue;
		m.at = record.data + record.length - 4;
		if (read_u32(&m, &least) == -1)
			return 0;
		return least < record.ttl ? least : record.ttl;
	}
	return 0;
}

/* Is this the question that was asked? */
static bool
is_question(struct message *m, const char *name, enum dns_type type)
{
	char asked[DNS_NAME];
	uint16_t asked_type, class;
	bool usable;

	return read_name(m, asked, &usable) == 0 && usable &&
	    strcmp(asked, name) == 0 && read_u16(m, &asked_type) == 0 &&
	    asked_type == type && read_u16(m, &class) == 0 &&
	    class == CLASS_IN;
}

/* What the answers come to; returns NULL, or why they are no answer. */
static const char *
read_sections(struct message *m, const uint16_t count[4], enum dns_type type,
    struct dns_found *found)
{
	bool any = false;
	uint32_t ttl;
	int links, again;

	for (links = 0; (again = read_answers(*m, count[1], type, found,
	    &any)) == 1; links++)
		if (links == LINKS_MAX)
			return "its aliases (CNAME) do not end";
	if (again == -1)
		return MALFORMED;
	if (any) {
		found->result = DNS_OK;
		return NULL;
	}
	if (found->result != DNS_NO_NAME)
		found->result = DNS_NONE;
	if ((ttl = negative_ttl(*m, count[1], count[2])) < found->ttl)
		found->ttl = ttl;
	return NULL;
}

static const char *
rcode_reason(unsigned int rcode)
{
	switch (rcode) {
	case RCODE_SERVFAIL:
		return "the resolver answers SERVFAIL";
	case RCODE_REFUSED:
		return "the resolver refuses to answer";
	default:
		return "the resolver answers with an error";
	}
}

/* The header and what follows; NULL, or why it failed. */
static const char *
read_message(struct message *m, const char *name, enum dns_type type,
    struct dns_found *found)
{
	uint16_t flags, count[4];
	unsigned int rcode;
	size_t i;

	m->at = 2;
	if (read_u16(m, &flags) == -1)
		return MALFORMED;
	for (i = 0; i < 4; i++)
		if (read_u16(m, &count[i]) == -1)
			return MALFORMED;
	rcode = flags & 0xf;
	found->broken_query = rcode == RCODE_FORMERR;
	found->secure = (flags & 0x20) != 0;
	if ((flags & 0x8000) == 0 || (flags & 0x7800) != 0)
		return MALFORMED;
	if (rcode != RCODE_OK && rcode != RCODE_NXDOMAIN)
		return rcode_reason(rcode);
	if ((flags & 0x0200) != 0)
		return "the answer is truncated";
	if (count[0] != 1 || !is_question(m, name, type))
		return "the answer is to another question";
	found->result = rcode == RCODE_NXDOMAIN ? DNS_NO_NAME : DNS_OK;
	found->ttl = UINT32_MAX;
	strlcpy(found->name, name, sizeof(found->name));
	return read_sections(m, count, type, found);
}

struct dns_found *
dns_parse(const uint8_t *octets, size_t length, const char *name,
    enum dns_type type)
{
	struct message m = { octets, length, 0 };
	struct dns_found *found = dns_found_new(), *failed;
	const char *reason;

	if (length < HEADER)
		reason = MALFORMED;
	else
		reason = read_message(&m, name, type, found);
	if (reason == NULL)
		return found;
	failed = dns_found_failed(reason);
	failed->broken_query = found->broken_query;
	dns_found_free(found);
	return failed;
}
