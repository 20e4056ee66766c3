/*
 * What sync remembers: bases and conflicts; and what amend_check finds.
 * Leaves what follows from them to tests/sync.
 */
#include "ask.h"

#include "sql/conn.h"

#include "core/buffer.h"
#include "ledger/ledger.h"
#include "sums.h"

static struct road *open_t(struct engine *engine)
{
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, v text)");
	engine_exec(engine, "CREATE TABLE u (id integer PRIMARY KEY, v text)");
	road = road_open(engine, "t");
	expect_ok(amend_init(road->db, NULL, &road->err), &road->err);
	return road;
}

/* --- Bases --- */

static struct amend_base make_base(struct engine *engine, const char *pk, const char *first_key,
				   const char *content, size_t size)
{
	struct amend_base base = {
		.source = "feed", .pk = pk, .first_key = first_key, .pack_size = size};
	char *pack = amend_arena_text_n(engine_arena(engine), content, size);

	base.pack = pack;
	amend_base_digest(pack, size, base.digest);
	return base;
}

static void write_base(struct road *road, const struct amend_base *seen,
		       const struct amend_base *base, bool expect_moved)
{
	bool moved = !expect_moved;

	expect_ok(amend_base_write(road->db, road->table, seen, base, &moved, &road->err),
		  &road->err);
	assert_int_equal(moved, expect_moved);
}

static void check_sums(struct road *road)
{
	expect_sum(road->db, "feed", road->table);
	expect_sum(road->db, "other", road->table);
}

static uint64_t count_bases(struct road *road, const char *source, uint64_t most)
{
	uint64_t n = 0;

	expect_ok(amend_base_count(road->db, source, road->table, most, &n, &road->err), &road->err);
	return n;
}

static struct amend_base find_base(struct road *road, const char *source, bool by_first_key,
				   const char *key)
{
	struct amend_base found;

	expect_ok(amend_base_find(road->db, source, road->table, by_first_key, &key, 1, &found,
				  engine_arena(road->engine), &road->err),
		  &road->err);
	return found;
}

static void bases(struct engine *engine)
{
	struct road *road = open_t(engine);
	/* Packs hold any byte. */
	struct amend_base one = make_base(engine, "{\"id\":1}", "{\"k\":\"x\"}", "a\0b\xff'\\", 6),
			  found;
	struct amend_base two = make_base(engine, "{\"id\":1}", "{\"k\":\"y\"}", "second", 6);
	struct amend_base other = make_base(engine, "{\"id\":2}", "", "", 0);

	assert_null(find_base(road, "feed", false, one.pk).pack);
	write_base(road, NULL, &one, false);
	/* There is one already: who believed that there was none comes too late. */
	write_base(road, NULL, &two, true);
	check_sums(road);
	found = find_base(road, "feed", false, one.pk);
	assert_int_equal(found.pack_size, 6);
	assert_memory_equal(found.pack, one.pack, 6);
	assert_memory_equal(found.digest, one.digest, AMEND_BASE_DIGEST_SIZE);
	expect_text(found.first_key, one.first_key);
	found = find_base(road, "feed", true, "{\"k\":\"x\"}");
	expect_text(found.pk, one.pk);
	/* Of another source, table, key: not this one. */
	assert_null(find_base(road, "other", false, one.pk).pack);
	assert_null(find_base(road, "feed", true, "{\"k\":\"y\"}").pack);
	road_table(road, "u");
	assert_null(find_base(road, "feed", false, one.pk).pack);
	road_table(road, "t");
	/* In place of what was seen; not of what has changed since. */
	write_base(road, &one, &two, false);
	write_base(road, &one, &other, true);
	check_sums(road);
	assert_null(find_base(road, "feed", false, other.pk).pack);
	assert_memory_equal(find_base(road, "feed", false, one.pk).pack, "second", 6);
	/* Under another primary key the old one goes. */
	write_base(road, &two, &other, false);
	check_sums(road);
	assert_null(find_base(road, "feed", false, one.pk).pack);
	found = find_base(road, "feed", false, other.pk);
	assert_non_null(found.pack);
	assert_int_equal(found.pack_size, 0);
	/* Removed, if it is still what was seen. */
	write_base(road, &two, NULL, true);
	write_base(road, &other, NULL, false);
	check_sums(road);
	assert_null(find_base(road, "feed", false, other.pk).pack);
	write_base(road, NULL, NULL, false);
}

/* --- Which version of a document they stand for --- */

static struct amend_tally tally(struct road *road, const char *source)
{
	struct amend_tally sum;

	expect_ok(amend_tally_bases(road->db, source, road->table, &sum, &road->err), &road->err);
	return sum;
}

static enum amend_status add_and_fail(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;
	struct amend_base base = make_base(road->engine, "{\"id\":7}", "", "x", 1);
	bool moved;
	enum amend_status status = amend_base_write(db, road->table, NULL, &base, &moved, err);

	return status == AMEND_OK ? amend_error_set(err, AMEND_CONFLICT, "undone") : status;
}

/* On a server that takes another's place a feed's number may be another feed's. */
static void numbers_on_another_server(struct engine *engine)
{
	struct road *road = open_t(engine);
	struct amend_base one = make_base(engine, "{\"id\":1}", "", "one", 3);
	const char *ledger = engine_pick3(engine, "amend_", "amend.", "amend_");

	write_base(road, NULL, &one, false);
	engine_execf(engine, "UPDATE %sfeed SET id = 77", ledger);
	engine_execf(engine, "UPDATE %sbase SET feed = 77", ledger);
	assert_null(find_base(road, "feed", false, one.pk).pack);
	road->db->anew++;
	assert_non_null(find_base(road, "feed", false, one.pk).pack);
}

static void tallies(struct engine *engine)
{
	struct road *road = open_t(engine), *second;
	struct amend_base one = make_base(engine, "{\"id\":1}", "{\"k\":\"x\"}", "one", 3);
	struct amend_base again = make_base(engine, "{\"id\":1}", "{\"k\":\"x\"}", "again", 5);
	struct amend_base two = make_base(engine, "{\"id\":2}", "{\"k\":\"y\"}", "one", 3);
	struct amend_base moved = make_base(engine, "{\"id\":3}", "{\"k\":\"y\"}", "one", 3);
	struct amend_tally none = tally(road, "feed"), found, own;

	assert_int_equal(none.n, 0);
	assert_false(amend_tally_end(road->db, &own));
	expect_ok(amend_tally_begin(road->db, &none, &road->err), &road->err);
	write_base(road, NULL, &one, false);
	write_base(road, NULL, &two, false);
	write_base(road, &one, &again, false);
	write_base(road, &two, &moved, false);
	/* What was not written is not counted. */
	write_base(road, &one, &two, true);
	found = tally(road, "feed");
	assert_int_equal(found.n, 2);
	assert_true(amend_tally_end(road->db, &own));
	assert_true(amend_tally_same(&own, &found));
	/* Another key, another primary key, another content: another sum. */
	assert_false(amend_tally_same(&none, &found));
	for (int i = 0; i < 3; i++) {
		struct amend_base base = i == 0   ? one
					 : i == 1 ? make_base(engine, "{\"id\":1}", "{\"k\":\"z\"}",
							      "again", 5)
						  : make_base(engine, "{\"id\":9}", "{\"k\":\"x\"}",
							      "again", 5);

		write_base(road, &again, &base, false);
		own = tally(road, "feed");
		assert_false(amend_tally_same(&own, &found));
		write_base(road, &base, &again, false);
		own = tally(road, "feed");
		assert_true(amend_tally_same(&own, &found));
	}
	/* Somebody else's are not reckoned in; what is undone leaves nothing to say. */
	expect_ok(amend_tally_begin(road->db, &found, &road->err), &road->err);
	second = road_open(engine, "t");
	write_base(second, &again, NULL, false);
	road_close(second);
	found = tally(road, "feed");
	assert_true(amend_tally_end(road->db, &own));
	assert_false(amend_tally_same(&own, &found));
	expect_ok(amend_tally_begin(road->db, &found, &road->err), &road->err);
	assert_int_equal(road_atomic(road, add_and_fail, road), AMEND_CONFLICT);
	assert_true(amend_tally_end(road->db, &own));
	own.n = found.n;
	memcpy(own.sum, found.sum, sizeof(own.sum));
	assert_false(amend_tally_same(&own, &found));
}

struct remembering {
	struct road *road;
	struct amend_seen_version seen;
};

static enum amend_status remember(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct remembering *remembering = context;

	return amend_seen_store(db, "feed", remembering->road->table, &remembering->seen, err);
}

static void versions(struct engine *engine)
{
	struct road *road = open_t(engine);
	struct remembering remembering = {
		road,
		{.etag = "W/\"it's \\\"", .modified = "", .names = "a\0b\xff", .names_size = 4}};
	struct amend_seen_version found;
	bool is_there = true;

	expect_ok(amend_seen_find(road->db, "feed", road->table, engine_arena(engine), &found,
				  &is_there, &road->err),
		  &road->err);
	assert_false(is_there);
	for (int i = 1; i < 3; i++) {
		memset(remembering.seen.asked, 0xf0 + i, sizeof(remembering.seen.asked));
		remembering.seen.bases.n = i;
		remembering.seen.bases.sum[5] = (unsigned char)i;
		expect_ok(road_atomic(road, remember, &remembering), &road->err);
		expect_ok(amend_seen_find(road->db, "feed", road->table, engine_arena(engine),
					  &found, &is_there, &road->err),
			  &road->err);
		assert_true(is_there);
		expect_text(found.etag, "W/\"it's \\\"");
		expect_text(found.modified, "");
		assert_memory_equal(found.asked, remembering.seen.asked, sizeof(found.asked));
		assert_true(amend_tally_same(&found.bases, &remembering.seen.bases));
		assert_int_equal(found.names_size, 4);
		assert_memory_equal(found.names, "a\0b\xff", 4);
	}
	expect_ok(amend_seen_find(road->db, "other", road->table, engine_arena(engine), &found,
				  &is_there, &road->err),
		  &road->err);
	assert_false(is_there);
	road_table(road, "u");
	expect_ok(amend_seen_find(road->db, "feed", road->table, engine_arena(engine), &found,
				  &is_there, &road->err),
		  &road->err);
	assert_false(is_there);
}

static enum amend_status many_bases(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct road *road = context;

	(void)db, (void)err;
	for (int i = 0; i < 2500; i++) {
		const char *content = engine_printf(road->engine, "content %d", i);
		struct amend_base base = make_base(
			road->engine, engine_printf(road->engine, "{\"id\":%d}", i),
			engine_printf(road->engine, "{\"k\":\"%d\"}", i / 2), content,
			strlen(content));

		write_base(road, NULL, &base, false);
	}
	return AMEND_OK;
}

struct bases {
	struct road *road;
	struct amend_base_bulk *items;
	size_t n;
};

static enum amend_status write_bases(struct amend_conn *db, void *context, struct amend_error *err)
{
	const struct bases *bases = context;

	return amend_bases_write(db, bases->road->table, bases->items, bases->n, err);
}

struct seen {
	struct road *road;
	struct amend_buffer text;
	size_t n;
	bool packs;
};

static enum amend_status see_base(void *context, const struct amend_base *base,
				  struct amend_error *err)
{
	struct seen *seen = context;
	unsigned char digest[AMEND_BASE_DIGEST_SIZE];

	(void)err;
	seen->n++;
	expect_text(base->source, "feed");
	assert_int_equal(base->pack != NULL, seen->packs);
	if (seen->packs) {
		amend_base_digest(base->pack, base->pack_size, digest);
		assert_memory_equal(digest, base->digest, sizeof(base->digest));
	}
	if (seen->n < 4)
		amend_buffer_printf(&seen->text, "%s%s %s %.*s", seen->n > 1 ? "; " : "", base->pk,
				    base->first_key, (int)base->pack_size,
				    seen->packs ? (const char *)base->pack : "");
	return AMEND_OK;
}

static enum amend_status see_two(void *context, const struct amend_base *base,
				 struct amend_error *err)
{
	size_t *n = context;

	(void)base;
	return ++*n == 2 ? amend_error_set(err, AMEND_CONFLICT, "enough") : AMEND_OK;
}

static const char *scan(struct road *road, const char *source, bool packs, size_t n)
{
	struct seen seen = {road, AMEND_BUFFER_INIT, 0, packs};
	const char *text;

	expect_ok(amend_base_scan(road->db, source, road->table, packs, see_base, &seen, &road->err),
		  &road->err);
	assert_int_equal(seen.n, n);
	text = engine_printf(road->engine, "%s", amend_buffer_string(&seen.text));
	amend_buffer_release(&seen.text);
	return text;
}

/* All of one source and table: nothing of others, nothing twice. */
static void scanned(struct engine *engine)
{
	struct road *road = open_t(engine), *bare;
	struct amend_base one = make_base(engine, "{\"id\":1}", "{\"k\":\"x\"}", "a'\\b", 4),
			  other = make_base(engine, "{\"id\":1}", "{\"k\":\"y\"}", "o", 1);
	size_t n = 0;

	expect_text(scan(road, "feed", true, 0), "");
	write_base(road, NULL, &one, false);
	other.source = "other";
	write_base(road, NULL, &other, false);
	road_table(road, "u");
	write_base(road, NULL, &one, false);
	road_table(road, "t");
	expect_text(scan(road, "feed", true, 1), "{\"id\":1} {\"k\":\"x\"} a'\\b");
	expect_text(scan(road, "feed", false, 1), "{\"id\":1} {\"k\":\"x\"} ");
	write_base(road, &one, NULL, false);
	expect_ok(road_atomic(road, many_bases, road), &road->err);
	expect_sum(road->db, "feed", road->table);
	assert_int_equal(count_bases(road, "feed", 10000), 2500);
	assert_int_equal(count_bases(road, "feed", 2000), 2000);
	assert_int_equal(count_bases(road, "nobody", 10000), 0);
	/* Where no sum is known they are counted. */
	engine_execf(engine, "UPDATE %sfeed_sum SET n = NULL",
		     engine_pick(engine, "amend_", "amend."));
	assert_int_equal(count_bases(road, "feed", 10000), 2500);
	assert_int_equal(count_bases(road, "feed", 2000), 2000);
	scan(road, "feed", true, 2500);
	scan(road, "feed", false, 2500);
	/* Whoever has seen enough ends it. */
	expect_status(AMEND_CONFLICT,
		      amend_base_scan(road->db, "feed", road->table, false, see_two, &n, &road->err),
		      &road->err);
	assert_int_equal(n, 2);
	/* Where nothing is installed there is none. */
	engine_exec(engine, engine_pick3(engine, "CREATE TABLE v (id integer PRIMARY KEY)",
					 "DROP SCHEMA amend CASCADE",
					 "DROP TABLE amend_meta, amend_feed_sum"));
	if (!engine_is(engine, "sqlite")) {
		bare = road_open(engine, "t");
		expect_text(scan(bare, "feed", true, 0), "");
	}
}

/* Written together: each in place of what was seen, or left out alone. */
static void written_together(struct engine *engine)
{
	enum { ALL = 200 };
	struct road *road = open_t(engine);
	struct amend_arena *arena = engine_arena(engine);
	struct amend_base *old = amend_arena_array(arena, ALL, sizeof(*old));
	struct amend_base *new = amend_arena_array(arena, ALL, sizeof(*new));
	struct amend_base_bulk *items = amend_arena_array(arena, ALL, sizeof(*items));
	struct bases bases = {road, items, ALL};

	for (int i = 0; i < ALL; i++) {
		const char *pk = engine_printf(engine, "{\"id\":%d}", i);

		old[i] = make_base(engine, pk, "{\"k\":\"x\"}", pk, strlen(pk));
		new[i] = make_base(engine, pk, "{\"k\":\"y\"}", "new", 3);
		items[i].base = &old[i];
	}
	/* One is there: it alone is left out, and the first of two of one name is not. */
	write_base(road, NULL, &new[50], false);
	items[60].base = &old[59];
	expect_ok(road_atomic(road, write_bases, &bases), &road->err);
	for (int i = 0; i < ALL; i++)
		assert_int_equal(items[i].moved, i == 50 || i == 60);
	/* Updated, removed, made, and two that change places; one is not what was seen. */
	for (int i = 0; i < ALL; i++)
		items[i] = (struct amend_base_bulk){.seen = &old[i], .base = &new[i]};
	items[3].base = NULL;
	items[60].seen = NULL;
	new[10].pk = old[11].pk;
	new[11].pk = old[10].pk;
	new[12].pk = "{\"id\":1000}";
	expect_ok(road_atomic(road, write_bases, &bases), &road->err);
	for (int i = 0; i < ALL; i++)
		assert_int_equal(items[i].moved, i == 50);
	assert_null(find_base(road, "feed", false, old[3].pk).pack);
	assert_null(find_base(road, "feed", false, old[12].pk).pack);
	for (int i = 0; i < ALL; i++) {
		if (i == 3)
			continue;
		expect_text(find_base(road, "feed", false, new[i].pk).first_key, "{\"k\":\"y\"}");
	}
	/* What went elsewhere under way went. */
	items[0] = (struct amend_base_bulk){.seen = &old[0]};
	items[1] = (struct amend_base_bulk){.seen = &new[1]};
	bases.n = 2;
	expect_ok(road_atomic(road, write_bases, &bases), &road->err);
	assert_true(items[0].moved);
	assert_false(items[1].moved);
	assert_null(find_base(road, "feed", false, new[1].pk).pack);
}

/* Few are looked up, many are scanned for: the same is found. */
static void many_at_once(struct engine *engine)
{
	enum { ALL = 2600 };
	struct road *road = open_t(engine);
	const char **keys = amend_arena_array(engine_arena(engine), ALL, sizeof(*keys));
	struct amend_base *found = amend_arena_array(engine_arena(engine), ALL, sizeof(*found));

	expect_ok(road_atomic(road, many_bases, road), &road->err);
	for (size_t n = 1; n <= ALL; n = n == ALL ? n + 1 : n * 500 > ALL ? ALL : n * 500) {
		for (size_t i = 0; i < n; i++)
			keys[i] = engine_printf(engine, "{\"id\":%zu}", (i * 7) % ALL);
		expect_ok(amend_base_find(road->db, "feed", road->table, false, keys, n, found,
					  engine_arena(engine), &road->err),
			  &road->err);
		for (size_t i = 0; i < n; i++) {
			const char *content = engine_printf(engine, "content %zu", (i * 7) % ALL);

			if ((i * 7) % ALL >= 2500) {
				assert_null(found[i].pack);
				continue;
			}
			assert_int_equal(found[i].pack_size, strlen(content));
			assert_memory_equal(found[i].pack, content, strlen(content));
		}
		/* By first key, which two may share: one of them, the same one each time. */
		for (size_t i = 0; i < n; i++)
			keys[i] = engine_printf(engine, "{\"k\":\"%zu\"}", i / 2);
		expect_ok(amend_base_find(road->db, "feed", road->table, true, keys, n, found,
					  engine_arena(engine), &road->err),
			  &road->err);
		for (size_t i = 0; i < n && i < 2500; i++) {
			assert_non_null(found[i].pack);
			expect_text(found[i].first_key, keys[i]);
			if (i % 2)
				expect_text(found[i].pk, found[i - 1].pk);
		}
	}
}

/* --- Conflicts --- */

struct storing {
	struct road *road;
	struct amend_conflict_spec spec;
	int64_t id;
};

static enum amend_status store(struct amend_conn *db, void *context, struct amend_error *err)
{
	struct storing *storing = context;

	return amend_conflict_store(db, &storing->spec, &storing->id, err);
}

static enum amend_status add_conflict(const struct amend_conflict *conflict, void *context,
				      struct amend_error *err)
{
	struct amend_buffer *text = context;

	(void)err;
	amend_buffer_printf(text, "%s%s %s %s %s line %lld by %s", text->size ? "\n" : "",
			    conflict->source, conflict->table,
			    amend_conflict_kind_name(conflict->kind), conflict->first_key,
			    (long long)conflict->line, conflict->who);
	for (size_t i = 0; i < conflict->n_key; i++)
		amend_buffer_printf(text, " key %s", conflict->key[i].column);
	for (size_t i = 0; i < conflict->n_fields; i++) {
		const struct amend_conflict_field *field = &conflict->fields[i];

		amend_buffer_printf(text, " %s: %s/%.*s/%.*s", field->column,
				    !field->has_base                 ? "none"
				    : field->base.kind == AMEND_NULL ? "NULL"
								     : field->base.as.text,
				    (int)field->current.size, field->current.as.text,
				    (int)field->incoming.size, field->incoming.as.text);
	}
	if (*conflict->note)
		amend_buffer_printf(text, " note %s", conflict->note);
	return AMEND_OK;
}

static const char *list(struct road *road, const char *table, int64_t id)
{
	const struct amend_conflict_filter filter = {
		.table = table, .id = id, .state = id ? NULL : "open"};
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *copy;

	expect_ok(amend_conflicts(road->db, &filter, add_conflict, &text, &road->err), &road->err);
	copy = engine_printf(road->engine, "%s", amend_buffer_string(&text));
	amend_buffer_release(&text);
	return copy;
}

static void conflicts(struct engine *engine)
{
	struct road *road = open_t(engine);
	struct amend_conflict_field field = {"v", true, amend_text("old"), amend_text("here"),
					     amend_text("there")};
	struct storing storing = {road,
				  {.source = "feed",
				   .table = road->table,
				   .pk = "{\"id\":1}",
				   .first_key = "{\"id\":1}",
				   .fields = &field,
				   .n_fields = 1,
				   .line = 3},
				  0};
	const struct amend_conflict_filter none = {.id = 777};
	struct amend_error err;
	bool moved = true;
	int64_t first;

	expect_text(list(road, NULL, 0), "");
	expect_ok(road_atomic(road, store, &storing), &road->err);
	first = storing.id;
	expect_text(list(road, NULL, 0),
		    "feed t fields id=1 line 3 by ada key id v: old/here/there");
	/* The source moves again: incoming follows, and it is the same conflict. */
	field.incoming = amend_text("elsewhere");
	field.base = amend_null();
	storing.spec.line = 9;
	expect_ok(road_atomic(road, store, &storing), &road->err);
	assert_int_equal(storing.id, first);
	expect_text(list(road, "t", 0),
		    "feed t fields id=1 line 9 by ada key id v: NULL/here/elsewhere");
	/* Another source, another record, no row: others. */
	field.has_base = false;
	storing.spec.source = "other";
	expect_ok(road_atomic(road, store, &storing), &road->err);
	assert_int_not_equal(storing.id, first);
	storing.spec = (struct amend_conflict_spec){.source = "feed",
						    .table = road->table,
						    .kind = AMEND_CONFLICT_UNIQUE,
						    .first_key = "{\"a\":\"x\",\"b\":7}",
						    .note = "taken by line 4",
						    .line = 1};
	expect_ok(road_atomic(road, store, &storing), &road->err);
	expect_text(list(road, NULL, 0),
		    "feed t fields id=1 line 9 by ada key id v: NULL/here/elsewhere\n"
		    "other t fields id=1 line 9 by ada key id v: none/here/elsewhere\n"
		    "feed t unique a=x,b=7 line 1 by ada note taken by line 4");
	expect_text(list(road, NULL, storing.id),
		    "feed t unique a=x,b=7 line 1 by ada note taken by line 4");
	expect_text(list(road, "u", 0), "");
	/* Ended: once, and not listed any more; the same record may clash anew. */
	expect_ok(amend_conflict_end(road->db, first, "settled", "incoming", &moved, &road->err),
		  &road->err);
	assert_false(moved);
	expect_ok(amend_conflict_end(road->db, first, "settled", "current", &moved, &road->err),
		  &road->err);
	assert_true(moved);
	expect_status(AMEND_NOT_FOUND, amend_conflicts(road->db, &none, add_conflict, NULL, &err),
		      &err);
	expect_contains(err.text, "amend conflicts");
	storing.spec = (struct amend_conflict_spec){.source = "feed",
						    .table = road->table,
						    .pk = "{\"id\":1}",
						    .first_key = "{\"id\":1}"};
	expect_ok(road_atomic(road, store, &storing), &road->err);
	assert_int_not_equal(storing.id, first);
	engine_expect(
		engine,
		engine_pick(engine,
			    "SELECT state, taken, ended_by FROM amend_conflict ORDER BY id LIMIT 1",
			    "SELECT state, taken, ended_by FROM amend.conflict ORDER BY id LIMIT 1"),
		"settled|incoming|ada");
}

/* Of many first keys at once: those that have one, and no others'. */
static void conflicts_by_key(struct engine *engine)
{
	enum { ALL = 700 };
	struct road *road = open_t(engine);
	struct amend_arena *arena = engine_arena(engine);
	const char **keys = amend_arena_array(arena, ALL, sizeof(*keys));
	struct amend_conflict_row *rows = amend_arena_array(arena, ALL, sizeof(*rows));
	struct amend_conflict_field field = {"v", true, amend_text("old"), amend_text("here"),
					     amend_text("there")};
	struct storing storing = {
		road, {.source = "feed", .table = road->table, .fields = &field, .n_fields = 1}, 0};
	int64_t ids[ALL] = {0};
	bool moved;

	for (int i = 0; i < ALL; i++) {
		keys[i] = engine_printf(engine, "{\"k\":\"%d\"}", i);
		if (i % 70 != 3)
			continue;
		storing.spec.first_key = keys[i];
		storing.spec.source = i == 3 ? "other" : "feed";
		storing.spec.line = i;
		expect_ok(road_atomic(road, store, &storing), &road->err);
		ids[i] = i == 3 ? 0 : storing.id;
	}
	expect_ok(amend_conflict_end(road->db, ids[73], "settled", "current", &moved, &road->err),
		  &road->err);
	ids[73] = 0;
	expect_ok(amend_conflict_find(road->db, "feed", road->table, keys, ALL, rows, arena,
				      &road->err),
		  &road->err);
	for (int i = 0; i < ALL; i++) {
		assert_int_equal(rows[i].id, ids[i]);
		if (!ids[i])
			continue;
		assert_int_equal(rows[i].line, i);
		expect_text(rows[i].first_key, keys[i]);
		assert_int_equal(rows[i].n_fields, 1);
		expect_text(rows[i].fields[0].incoming.as.text, "there");
	}
	road_table(road, "u");
	expect_ok(amend_conflict_find(road->db, "feed", road->table, keys, ALL, rows, arena,
				      &road->err),
		  &road->err);
	for (int i = 0; i < ALL; i++)
		assert_int_equal(rows[i].id, 0);
}

/* --- Check --- */

static void add_finding(void *context, enum amend_level level, const char *topic, const char *text)
{
	amend_buffer_printf(context, "%d %s: %s\n", (int)level, topic, text);
}

static const char *check(struct road *road)
{
	struct amend_buffer text = AMEND_BUFFER_INIT;
	const char *copy;

	expect_ok(amend_check(road->db, add_finding, &text, &road->err), &road->err);
	copy = engine_printf(road->engine, "%s", amend_buffer_string(&text));
	amend_buffer_release(&text);
	return copy;
}

static void findings(struct engine *engine)
{
	struct storing storing = {.spec = {.source = "feed", .first_key = "{\"id\":1}"}};
	struct road *road;

	engine_exec(engine, "CREATE TABLE t (id integer PRIMARY KEY, v text)");
	road = road_open(engine, "t");
	expect_contains(check(road), "1 ledger: not installed yet");
	ok(road, AMEND_CREATE, .keys = "id=1");
	expect_contains(check(road),
			engine_printf(engine, "0 ledger: installed, version %d, 1 revision\n",
				      AMEND_LEDGER_VERSION));
	storing.spec.table = road->table;
	expect_ok(road_atomic(road, store, &storing), &road->err);
	expect_contains(check(road), "1 conflicts: 1 waits for a decision");
	engine_exec(engine, engine_pick(engine, "DELETE FROM amend_revision",
					"DELETE FROM amend.revision"));
	expect_contains(check(road), "2 ledger: 1 change belongs to no revision");
	/* Looking changes nothing. */
	engine_expect(engine, "SELECT id FROM t", "1");
}

static const struct engine_test tests[] = {
	{"bases: written in place of what was seen, found by both keys", bases},
	{"bases: all of a source and table are scanned", scanned},
	{"bases: written together, each in place of what was seen", written_together},
	{"bases: few are looked up, many scanned for, the same is found", many_at_once},
	{"bases: their sum, and what this connection adds to it", tallies},
	{"numbers of feeds are asked for again once the connection was opened anew",
	 numbers_on_another_server},
	{"seen: the version that they stand for", versions},
	{"conflicts: stored once, brought up to date, ended once", conflicts},
	{"conflicts: found by many first keys at once", conflicts_by_key},
	{"check: what it finds in the ledger", findings},
};

ENGINE_MAIN_WITH(tests, ENGINES_GENERIC)
