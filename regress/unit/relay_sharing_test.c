/* links: regress/unit/relay_around.c relay/hop.c relay/seen.c
 * relay/search.c relay/scout.c relay/transcript.c relay/endpoint.c
 * relay/source.c relay/policy.c relay/transaction.c relay/reply.c
 * relay/command.c common/loop.c common/conf.c common/conf_keyword.c
 * common/conf_lex.c common/conf_parse.c common/conf_value.c common/target.c
 * common/netaddr.c common/log.c common/queueid.c common/clock.c */
/*
 * How conversations are shared by the hops that want them: limits, turns, and
 * who gets the room that comes about.
 */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clock.h"
#include "regress/unit/relay_around.h"

/* No more connections than allowed, however much waits. */
static void
keeps_the_limit(void **state)
{
	size_t before = used();
	int i;

	(void)state;
	forget();
	test.hold = true;
	for (i = 0; i < 6; i++)
		submit("two", "10-live.test");
	turn();
	assert_int_equal(used() - before, 2);
	/* Another hop of the same endpoint waits for room there. */
	submit("two", "10-live.test+20-other.test");
	turn();
	assert_int_equal(used() - before, 2);
	let_go();
	assert_int_equal(test.done, 7);
	assert_int_equal(used() - before, 2);
	assert_true(hop_all_idle());
	test.hold = false;
}

/* One as good that has room is not passed over to wait for a full one. */
static void
goes_where_there_is_room(void **state)
{
	struct conversation *c;
	int i, equals;

	(void)state;
	test.hold = true;
	for (equals = 0; equals < 2; equals++) {
		forget();
		for (i = 0; i < 2; i++) {
			submit("two", "10-full.test");
			turn();
		}
		assert_string_equal(test.trail, equals ? "" :
		    "full.test full.test");
		test.trail[0] = '\0';
		submit("two", equals ? "10-full.test+10-spare.test+20-a.test" :
		    "10-full.test+20-spare.test");
		turn();
		assert_string_equal(test.trail, equals ? "spare.test" : "");
		let_go();
		assert_int_equal(test.done, 3);
		assert_true(hop_all_idle());
	}
	/* The full one goes away: then the next is as good as any. */
	forget();
	for (i = 0; i < 2; i++) {
		submit("two", "10-dying2.test");
		turn();
	}
	for (i = 0; i < 2; i++) {
		submit("two", "10-full.test");
		turn();
	}
	submit("two", "10-dying2.test+20-full.test+20-spare.test");
	turn();
	test.dead = true;
	test.trail[0] = '\0';
	while ((c = busy_at("dying2.test")) != NULL) {
		finish(c, c->t);
		c->t = NULL;
		close_conversation(c);
	}
	turn();
	turn();
	assert_string_equal(test.trail, "dying2.test");
	assert_non_null(busy_at("spare.test"));
	let_go();
	assert_int_equal(test.done, 5);
	test.hold = test.dead = false;
}

/* What the configuration names second is not as good as what it names first. */
static void
waits_for_the_first_named(void **state)
{
	(void)state;
	forget();
	test.hold = true;
	submit("pair", "");
	turn();
	submit_from("own@us.test", "pair", "");
	turn();
	assert_string_equal(test.trail, "full.test");
	let_go();
	assert_int_equal(test.done, 2);
	assert_string_equal(test.trail, "full.test");
	test.hold = false;
}

/* A search that is over holds none that it has passed by, or not come to. */
static void
holds_no_endpoint_for_ever(void **state)
{
	const struct endpoint *full, *spare;
	unsigned int held[2] = { 0 };
	char hops[2][96];
	int round, i;

	(void)state;
	test.hold = true;
	for (round = 0; round < 3; round++) {
		forget();
		for (i = 0; i < 2; i++) {
			submit("two", "10-full.test");
			turn();
		}
		/* New ones, which remember what they have come to. */
		snprintf(hops[0], sizeof(hops[0]), "10-full.test+"
		    "10-full.test+10-spare.test+%d-a.test", 30 + round);
		snprintf(hops[1], sizeof(hops[1]), "10-full.test+"
		    "20-spare.test+%d-a.test", 30 + round);
		for (i = 0; i < 2; i++)
			submit("two", hops[i]);
		turn();
		full = busy_at("full.test")->endpoint;
		spare = busy_at("spare.test")->endpoint;
		let_go();
		assert_int_equal(test.done, 4);
		if (round > 0) {
			assert_int_equal(full->holders, held[0] + 2);
			assert_int_equal(spare->holders, held[1] + 1);
		}
		held[0] = full->holders;
		held[1] = spare->holders;
	}
	test.hold = false;
}

/* Who rests at one less good is not taken while a better one is full. */
static void
leaves_the_next_alone(void **state)
{
	struct conversation *spare, *full;
	int i;

	(void)state;
	forget();
	test.hold = true;
	submit("two", "10-spare.test");
	turn();
	spare = busy();
	for (i = 0; i < 2; i++) {
		submit("two", "10-full.test");
		turn();
	}
	finish(spare, spare->t);
	spare->t = NULL;
	go_on(spare);
	for (i = 0; i < 2; i++)
		submit("two", "10-full.test+20-spare.test");
	turn();
	full = busy();
	finish(full, full->t);
	full->t = NULL;
	go_on(full);
	turn();
	assert_null(spare->t);
	let_go();
	assert_int_equal(test.done, 5);
	assert_null(strstr(test.answer.host, "spare.test"));
	test.hold = false;
}

/* Room that comes about while it is looked for elsewhere is used. */
static void
finds_room_that_came_about(void **state)
{
	struct conversation *c;
	int i, when;

	(void)state;
	test.hold = true;
	for (when = 0; when < 12; when++) {
		forget();
		for (i = 0; i < 2; i++) {
			submit("two", "10-full.test");
			turn();
		}
		submit("two", "10-full.test+20-spare.test");
		test.halts = true;
		for (i = 0; i < when; i++)
			event_base_loop(test.child.base, EVLOOP_NONBLOCK);
		test.halts = false;
		while ((c = busy()) != NULL) {
			finish(c, c->t);
			c->t = NULL;
			go_on(c);
		}
		turn();
		assert_non_null(busy());
		let_go();
		assert_int_equal(test.done, 3);
		assert_true(hop_all_idle());
	}
	test.hold = false;
}

/* Is it being served, and no other of those? */
static bool
is_served(const char *exchange)
{
	const char *why;
	struct hop *hop = hop_find("two", exchange, "", &why);
	size_t i;

	for (i = 0; i < test.made; i++)
		if (test.talks[i].used && test.talks[i].hop == hop)
			return true;
	return false;
}

/* End a transaction of a hop; its conversation looks for more. */
static void
end_one(const char *exchange)
{
	const char *why;
	struct hop *hop = hop_find("two", exchange, "", &why);
	struct transaction *t;
	size_t i;

	for (i = 0; i < test.made; i++)
		if (test.talks[i].t != NULL && test.talks[i].hop == hop)
			break;
	assert_true(i < test.made);
	t = test.talks[i].t;
	test.talks[i].t = NULL;
	finish(&test.talks[i], t);
	go_on(&test.talks[i]);
}

/* Who waits for room at an endpoint gets it in turn. */
static void
serves_in_order(void **state)
{
	static const char *const hops[] = { "10-live.test",
	    "10-live.test+30-a.test", "10-live.test+30-b.test",
	    "10-live.test+30-c.test" };
	size_t i;

	(void)state;
	forget();
	test.hold = true;
	submit("two", hops[0]);
	submit("two", hops[0]);
	turn();
	for (i = 1; i < 4; i++) {
		submit("two", hops[i]);
		turn();
	}
	/* One that comes when there is room comes behind them. */
	end_one(hops[0]);
	submit("two", hops[0]);
	turn();
	assert_true(is_served(hops[1]));
	end_one(hops[0]);
	turn();
	assert_false(is_served(hops[2]));
	end_one(hops[0]);
	turn();
	assert_true(is_served(hops[2]));
	end_one(hops[1]);
	turn();
	assert_true(is_served(hops[3]));
	assert_false(is_served(hops[0]));
	let_go();
	assert_int_equal(test.done, 6);
	assert_true(hop_all_idle());
	test.hold = false;
}

/* A hop whose mail goes on and on leaves connections to others. */
static void
yields_to_others(void **state)
{
	static const char *const busy = "10-live.test";
	static const char *const others[] = { "10-live.test+30-a.test",
	    "10-live.test+30-b.test" };
	int i;

	(void)state;
	forget();
	test.hold = test.yields = true;
	for (i = 0; i < 6; i++) {
		submit("two", busy);
		turn();
	}
	for (i = 0; i < 2; i++) {
		submit("two", others[i]);
		turn();
		assert_false(is_served(others[i]));
		end_one(busy);
		turn();
		/* By now its own search stands before the second. */
		if (i == 1) {
			assert_false(is_served(others[i]));
			end_one(busy);
			turn();
		}
		assert_true(is_served(others[i]));
	}
	assert_false(is_served(busy));
	/* And back again, since more waits there. */
	end_one(others[0]);
	turn();
	assert_false(is_served(others[0]));
	assert_true(is_served(busy));
	let_go();
	assert_int_equal(test.done, 8);
	assert_true(hop_all_idle());
	test.hold = test.yields = false;
}

/* What another connection may still take sooner is not for riding. */
static void
lets_ride_what_must_wait(void **state)
{
	struct transaction *t;
	const char *why;
	struct hop *hop = hop_find("two", "10-live.test", "", &why);

	(void)state;
	forget();
	test.hold = true;
	submit("two", "10-live.test");
	assert_null(hop_next_to_ride(hop));
	turn();
	assert_null(hop_next_to_ride(hop));
	submit("two", "10-live.test");
	assert_null(hop_next_to_ride(hop));
	turn();
	submit("two", "10-live.test");
	turn();
	t = hop_next_to_ride(hop);
	assert_non_null(t);
	/* It was lost once: that is enough. */
	hop_take_back(hop, t);
	assert_null(hop_next_to_ride(hop));
	let_go();
	assert_int_equal(test.done, 3);
	assert_true(hop_all_idle());
	test.hold = false;
}

/* One probe first: the others wait for what it finds. */
static void
probes_first(void **state)
{
	size_t before = used();
	int i;

	(void)state;
	/* Both are known to take nothing now. */
	deliver("private", "5-busy.test+6-dead.test");
	forget();
	test.hold = true;
	for (i = 0; i < 3; i++)
		submit("private", "30-busy.test+40-dead.test");
	turn();
	assert_string_equal(test.trail, "");
	assert_int_equal(test.done, 3);
	for (i = 0; i < 3; i++)
		submit("private", "30-busy.test+40-dead.test");
	turn();
	assert_string_equal(test.trail, "busy.test");
	assert_int_equal(test.done, 6);
	assert_int_equal(used(), before);
	test.hold = false;
}

/* A host that takes some and refuses more has enough: it is not closed. */
static void
takes_a_refusal_for_enough(void **state)
{
	size_t before = used();
	int i;

	(void)state;
	forget();
	test.hold = true;
	submit("two", "10-dying3.test+11-a.test");
	turn();
	assert_string_equal(test.trail, "dying3.test");
	test.dead = true;
	for (i = 0; i < 3; i++) {
		submit("two", "10-dying3.test+11-a.test");
		turn();
	}
	/* It was asked once more, and then no longer. */
	assert_string_equal(test.trail, "dying3.test dying3.test");
	assert_false(endpoint_is_closed(busy()->endpoint));
	assert_int_equal(used() - before, 1);
	assert_int_equal(test.done, 0);
	let_go();
	assert_int_equal(test.done, 4);
	assert_int_equal(test.result.verdict, RELAY_DONE);
	assert_true(hop_all_idle());
	test.hold = test.dead = false;
}

/* A host goes away under load: all that wait for it are told, in time. */
static void
gives_up(void **state)
{
	struct conversation *c;
	struct transaction *t;
	int i;

	(void)state;
	forget();
	test.hold = true;
	for (i = 0; i < 6; i++)
		submit("two", "10-dying.test");
	turn();
	test.dead = true;
	for (c = test.talks; c < test.talks + test.made; c++) {
		if (!c->used || c->t == NULL)
			continue;
		t = c->t;
		c->t = NULL;
		finish(c, t);
		close_conversation(c);
	}
	assert_int_equal(test.done, 2);
	for (i = 0; i < 20; i++)
		turn();
	assert_int_equal(test.done, 6);
	assert_int_equal(test.result.verdict, RELAY_DEFERRED);
	assert_true(hop_all_idle());
	test.hold = test.dead = false;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_limit),
		cmocka_unit_test(goes_where_there_is_room),
		cmocka_unit_test(waits_for_the_first_named),
		cmocka_unit_test(holds_no_endpoint_for_ever),
		cmocka_unit_test(leaves_the_next_alone),
		cmocka_unit_test(finds_room_that_came_about),
		cmocka_unit_test(serves_in_order),
		cmocka_unit_test(yields_to_others),
		cmocka_unit_test(lets_ride_what_must_wait),
		cmocka_unit_test(probes_first),
		cmocka_unit_test(takes_a_refusal_for_enough),
		cmocka_unit_test(gives_up),
		cmocka_unit_test(around_ends)
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, around_setup, NULL);
}
