/*
 * The values of settings in their types.  Texts that are no value of their
 * type were complained of when the file was parsed; here the default stands
 * in for them.
 */
#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf.h"

#define RATE_MAX	1000000000
#define RATE_TIME_MAX	(366 * 86400 * 1000000LL)

struct unit {
	const char	*name;
	int64_t		 factor;
};

static const struct unit plain[] = {
	{ "", 1 }, { NULL, 0 }
};

static const struct unit octets[] = {
	{ "", 1 }, { "k", 1 << 10 }, { "m", 1 << 20 }, { "g", 1 << 30 },
	{ NULL, 0 }
};

static const struct unit microseconds[] = {
	{ "", 1000000 }, { "ms", 1000 }, { "s", 1000000 },
	{ "m", 60 * 1000000LL }, { "h", 3600 * 1000000LL },
	{ "d", 86400 * 1000000LL }, { NULL, 0 }
};

/* Digits, then one of the units. */
static int
parse_units(const char *text, const struct unit *units, int64_t *value)
{
	int64_t number = 0;

	if (!isdigit((unsigned char)*text))
		return -1;
	for (; isdigit((unsigned char)*text); text++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, *text - '0', &number))
			return -1;
	for (; units->name != NULL; units++)
		if (strcasecmp(text, units->name) == 0)
			return __builtin_mul_overflow(number, units->factor,
			    value) ? -1 : 0;
	return -1;
}

int
conf_parse_number(const char *text, int64_t *value)
{
	return parse_units(text, plain, value);
}

int
conf_parse_size(const char *text, int64_t *value)
{
	return parse_units(text, octets, value);
}

int
conf_parse_duration(const char *text, int64_t *value)
{
	return parse_units(text, microseconds, value);
}

int
conf_parse_rate(const char *text, int64_t *count, int64_t *time)
{
	char number[32];
	const char *slash = strchr(text, '/');
	const struct unit *unit;

	if (slash == NULL || (size_t)(slash - text) >= sizeof(number))
		return -1;
	memcpy(number, text, (size_t)(slash - text));
	number[slash - text] = '\0';
	if (conf_parse_number(number, count) == -1 || *count < 1 ||
	    *count > RATE_MAX)
		return -1;
	if (conf_parse_duration(slash + 1, time) == 0)
		return *time < 1 || *time > RATE_TIME_MAX ? -1 : 0;
	for (unit = microseconds; unit->name != NULL; unit++)
		if (*unit->name != '\0' && strcasecmp(slash + 1,
		    unit->name) == 0) {
			*time = unit->factor;
			return 0;
		}
	return -1;
}

int
conf_parse_bool(const char *text, bool *value)
{
	static const char *const names[][2] = {
		{ "no", "yes" }, { "false", "true" }, { "off", "on" },
		{ "0", "1" }
	};
	size_t i, j;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (j = 0; j < 2; j++)
			if (strcasecmp(text, names[i][j]) == 0) {
				*value = j == 1;
				return 0;
			}
	return -1;
}

const char *
conf_string(const struct conf_section *section, const char *name,
    const char *otherwise)
{
	const struct conf_setting *setting = conf_setting(section, name);

	return setting == NULL ? otherwise : setting->words[0].text;
}

int64_t
conf_number(const struct conf_section *section, const char *name,
    int64_t otherwise)
{
	const char *text = conf_string(section, name, NULL);
	int64_t value;

	return text == NULL || conf_parse_number(text, &value) == -1 ?
	    otherwise : value;
}

int64_t
conf_size(const struct conf_section *section, const char *name,
    int64_t otherwise)
{
	const char *text = conf_string(section, name, NULL);
	int64_t value;

	return text == NULL || conf_parse_size(text, &value) == -1 ?
	    otherwise : value;
}

int64_t
conf_duration(const struct conf_section *section, const char *name,
    int64_t otherwise)
{
	const char *text = conf_string(section, name, NULL);
	int64_t value;

	return text == NULL || conf_parse_duration(text, &value) == -1 ?
	    otherwise : value;
}

bool
conf_bool(const struct conf_section *section, const char *name,
    bool otherwise)
{
	const char *text = conf_string(section, name, NULL);
	bool value;

	return text == NULL || conf_parse_bool(text, &value) == -1 ?
	    otherwise : value;
}
