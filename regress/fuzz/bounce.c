/* links: spoold/bounce.c spoold/sentence.c common/clock.c common/header.c
 * common/queueid.c common/log.c */
/*
 * Reports of hostile texts: lines of at most 998 octets, ended by CRLF, no CR
 * or LF elsewhere, 8-bit octets only if declared and only in the original,
 * and the parts that there are to be, no more.
 */
#include "fuzz.h"
#include "header.h"
#include "spoold/spoold.h"

#define ITEMS	2
#define LINE	998

struct texts {
	char	*address, *orcpt, *status, *text, *host;
};

static void
fill_item(struct fuzz_input *in, struct texts *texts,
    struct bounce_item *item)
{
	static const char *const actions[] = { "failed", "delayed",
	    "delivered", "relayed", "expanded" };
	uint8_t bits = fuzz_byte(in), stage = fuzz_byte(in);

	/* As long as the wire lets them be. */
	texts->address = fuzz_need(calloc(1, WIRE_ADDRESS));
	texts->orcpt = fuzz_need(calloc(1, WIRE_ORCPT));
	texts->status = fuzz_need(calloc(1, 12));
	texts->text = fuzz_need(calloc(1, WIRE_TEXT));
	texts->host = fuzz_need(calloc(1, WIRE_NAME));
	fuzz_fill(in, texts->address, WIRE_ADDRESS);
	fuzz_fill(in, texts->orcpt, WIRE_ORCPT);
	fuzz_fill(in, texts->status, 12);
	fuzz_fill(in, texts->text, WIRE_TEXT);
	fuzz_fill(in, texts->host, WIRE_NAME);
	*item = (struct bounce_item){
		.address = texts->address, .orcpt = texts->orcpt,
		.action = actions[stage / 16 % 5],
		.facts = { .relayed = bits & 1, .replied = bits & 2,
		    .expired = bits & 4, .given_up = bits & 8,
		    .stage = stage % (STAGE_MESSAGE + 1),
		    .status = texts->status, .text = texts->text,
		    .host = texts->host, .address = texts->address,
		    .waited = (int64_t)fuzz_number(in) * 1000000 },
		.until = bits & 16 ? (int64_t)fuzz_number(in) << 20 : 0
	};
}

static void
free_texts(struct texts *texts)
{
	free(texts->address);
	free(texts->orcpt);
	free(texts->status);
	free(texts->text);
	free(texts->host);
}

static void
check_sentence(const struct sentence_facts *facts)
{
	char text[640];

	sentence_of(facts, text, sizeof(text));
	require(text[0] != '\0');
	require(sentence_advice(facts) != NULL);
}

/* Lines, and how many of them begin with the boundary that is declared. */
static size_t
check_lines(const char *text, size_t length)
{
	const char *lf, *end = text + length, *boundary, *quote;
	size_t boundaries = 0, n;

	boundary = memmem(text, length, "\r\n\tboundary=\"", 13);
	require(boundary != NULL);
	boundary += 13;
	quote = memchr(boundary, '"', (size_t)(end - boundary));
	require(quote != NULL);
	n = (size_t)(quote - boundary);
	for (; text < end; text = lf + 1) {
		lf = memchr(text, '\n', (size_t)(end - text));
		require(lf != NULL && lf > text && lf[-1] == '\r');
		require(memchr(text, '\r', (size_t)(lf - 1 - text)) == NULL);
		require(lf - 1 - text <= LINE);
		if ((size_t)(lf - text) > n + 2 && text[0] == '-' &&
		    text[1] == '-' && memcmp(text + 2, boundary, n) == 0)
			boundaries++;
	}
	return boundaries;
}

static void
check(const struct bounce_report *report)
{
	struct header_field field;
	const char *text, *declared;
	char *made;
	size_t length, i;
	bool is_8bit = false;

	text = made = bounce_compose(report, &length);
	require(length <= WIRE_INLINE);
	require(check_lines(text, length) == 4);
	for (i = 0; i < length; i++)
		is_8bit = is_8bit || (text[i] & 0x80) != 0;
	require(memchr(text, '\0', length) == NULL);
	require(header_find(text, length, "Content-Type", &field) == 0);
	require(header_find(text, length, "Auto-Submitted", &field) == 0);
	declared = header_find(text, length, "Content-Transfer-Encoding",
	    &field) == 0 ? "8bit" : NULL;
	require(!is_8bit || declared != NULL);
	free(made);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct bounce_item items[ITEMS];
	struct texts texts[ITEMS];
	char to[WIRE_ADDRESS], envid[WIRE_ENVID], mta[WIRE_DOMAIN];
	char *original;
	uint8_t kind = fuzz_byte(&in);
	size_t i, n;

	fuzz_fill(&in, to, sizeof(to));
	fuzz_fill(&in, envid, sizeof(envid));
	fuzz_fill(&in, mta, sizeof(mta));
	for (i = 0; i < ITEMS; i++) {
		fill_item(&in, &texts[i], &items[i]);
		check_sentence(&items[i].facts);
	}
	/* What smtpd lets through: no bare CR or LF, no NUL. */
	original = fuzz_need(malloc(in.left * 2 + 1));
	for (i = n = 0; i < in.left; i++) {
		if (in.at[i] == '\n')
			original[n++] = '\r';
		if (in.at[i] != '\r' && in.at[i] != '\0')
			original[n++] = (char)in.at[i];
	}
	(void)bounce_is_automatic(original, n);
	check(&(struct bounce_report){
		.kind = kind % REPORT_KINDS, .id = 1, .about = 2,
		.hostname = "mx.test", .to = to, .envid = envid,
		.from_mta = mta, .arrival = 1, .now = 2, .items = items,
		.count = kind & 4 ? ITEMS : 1, .original = original,
		.original_length = n,
		.original_size = n + (kind & 8 ? 100 : 0), .whole = kind & 16
	});
	free(original);
	for (i = 0; i < ITEMS; i++)
		free_texts(&texts[i]);
	return 0;
}
