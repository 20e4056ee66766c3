/*
 * What is written, and in which order: who frees a value before who takes it,
 * parents before children. Leaves carrying it out to apply.c.
 *
 * A record visits what must come before it first. Where that leads in a circle,
 * a record on it makes way: its value is parked before the first that needs it,
 * and all between stay in one chunk.
 */
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"
#include "sync/sync.h"

static bool writes_anything(const struct amend_record *record)
{
	const struct amend_action *action = record->action;

	if (record->fate == AMEND_FATE_OPEN || record->fate == AMEND_FATE_REJECTED ||
	    record->fate == AMEND_FATE_DUPLICATE || !action)
		return false;
	return action->create || action->n_puts || action->write_base || action->store ||
	       action->end;
}

/* ---- parents before children ---- */

bool amend_sync_key_refers_home(const struct amend_table *table, const struct amend_foreign_key *key)
{
	return strcmp(key->table, table->name) == 0 &&
	       (!key->schema || !*key->schema || strcmp(key->schema, table->schema) == 0);
}

bool amend_sync_refers_to_itself(const struct amend_table *table)
{
	bool refers = false;

	for (size_t i = 0; i < table->n_foreign_keys; i++)
		refers = refers || amend_sync_key_refers_home(table, &table->foreign_keys[i]);
	return refers;
}

/* The record's values of these columns, folded; false: NULL in it, or unknown. */
static bool fold_columns(const struct amend_sync *sync, const struct amend_record *record,
			 const uint32_t *columns, size_t n, struct amend_buffer *buffer)
{
	amend_buffer_reset(buffer);
	for (size_t i = 0; i < n; i++) {
		const struct amend_value *value = amend_sync_after(sync, record, columns[i]);

		if (!value || value->kind == AMEND_NULL)
			return false;
		amend_pack_add(buffer, "", value);
	}
	return true;
}

bool amend_sync_references(const struct amend_table *table, const struct amend_foreign_key *key,
			   uint32_t *references)
{
	for (size_t i = 0; i < key->n_columns; i++) {
		int at = amend_table_column(table, key->references[i]);

		if (at < 0)
			return false;
		references[i] = (uint32_t)at;
	}
	return true;
}

static bool writes_row(const struct amend_record *record)
{
	return record->action && (record->action->create || record->action->n_puts);
}

/* The row is there, and keeps the values that children refer to. */
static bool stays(const struct amend_sync *sync, const struct amend_record *record,
		  const uint32_t *references, size_t n)
{
	for (size_t i = 0; i < n && record->row; i++) {
		const struct amend_value *after = amend_sync_after(sync, record, references[i]);

		if (!after || !amend_value_equal(after, &record->row->values[references[i]]))
			return false;
	}
	return record->row != NULL;
}

static enum amend_status find_parents(struct amend_sync *sync, const struct amend_foreign_key *key,
				      struct amend_error *err)
{
	uint32_t *references = amend_arena_array(&sync->arena, key->n_columns, sizeof(*references));
	struct amend_buffer buffer = AMEND_BUFFER_INIT;
	struct amend_hash parents = {0};
	enum amend_status status = AMEND_OK;

	if (!references)
		return amend_no_memory(err);
	if (!amend_sync_references(sync->table, key, references))
		return AMEND_OK;
	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		struct amend_record *record = sync->list[i];
		const char *value;
		void **slot;

		/* A row that changes the referenced value counts as well: its children come after it. */
		if (stays(sync, record, references, key->n_columns))
			continue;
		if (!writes_row(record) ||
		    !fold_columns(sync, record, references, key->n_columns, &buffer))
			continue;
		value = buffer.failed ? NULL
				      : amend_arena_text_n(&sync->arena, buffer.data, buffer.size);
		slot = value ? amend_hash_put(&parents, value, buffer.size) : NULL;
		if (slot)
			*slot = record;
		else
			status = amend_no_memory(err);
	}
	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		struct amend_record *record = sync->list[i], *parent;

		if (!writes_row(record) ||
		    !fold_columns(sync, record, key->columns, key->n_columns, &buffer))
			continue;
		parent = amend_hash_get(&parents, buffer.data, buffer.size);
		if (parent && parent != record)
			status = amend_sync_edge(sync, parent, record, -1, err);
	}
	amend_hash_release(&parents);
	amend_buffer_release(&buffer);
	return status;
}

/* A child wants its parent's value; a parent gives its own. */
static enum amend_status note_parents(struct amend_sync *sync, const struct amend_foreign_key *key,
				      struct amend_error *err)
{
	uint32_t *references = amend_arena_array(&sync->arena, key->n_columns, sizeof(*references));
	struct amend_buffer value = AMEND_BUFFER_INIT, thing = AMEND_BUFFER_INIT;
	enum amend_status status = AMEND_OK;

	if (!references)
		return amend_no_memory(err);
	if (!amend_sync_references(sync->table, key, references))
		return AMEND_OK;
	for (size_t i = 0; i < sync->n_list * 2 && status == AMEND_OK; i++) {
		const struct amend_record *record = sync->list[i / 2];
		bool gives = i % 2;

		if (!writes_row(record) ||
		    (gives && stays(sync, record, references, key->n_columns)) ||
		    !fold_columns(sync, record, gives ? references : key->columns, key->n_columns,
				  &value))
			continue;
		amend_buffer_reset(&thing);
		amend_buffer_printf(&thing, "parent %p ", (const void *)key);
		amend_buffer_add(&thing, value.data, value.size);
		status = amend_slices_note_kin(sync, AMEND_KIN_PARENT, record, gives, &thing, err);
	}
	amend_buffer_release(&value);
	amend_buffer_release(&thing);
	return status;
}

enum amend_status amend_sync_note_parents(struct amend_sync *sync, struct amend_error *err)
{
	enum amend_status status = AMEND_OK;

	for (size_t i = 0; i < sync->table->n_foreign_keys && status == AMEND_OK; i++) {
		if (amend_sync_key_refers_home(sync->table, &sync->table->foreign_keys[i]))
			status = note_parents(sync, &sync->table->foreign_keys[i], err);
	}
	return status;
}

/* ---- the order ---- */

enum { FRESH = 0, ON_THE_WAY = 1, PLACED = 2 }; /* record->mark; PLACED + position */

struct step {
	struct amend_record *record;
	size_t edge; /* the next of its edges to look at */
};

struct walk {
	struct amend_sync *sync;
	struct step *steps;
	size_t n_steps, room;
};

static int by_after(const void *a, const void *b)
{
	const struct amend_edge *x = a, *y = b;

	if (x->after->line != y->after->line)
		return x->after->line < y->after->line ? -1 : 1;
	return (x->before->line > y->before->line) - (x->before->line < y->before->line);
}

/* The first edge that leads to the record. */
static size_t edges_of(const struct amend_sync *sync, const struct amend_record *record)
{
	size_t low = 0, high = sync->n_edges;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (sync->edges[middle].after->line < record->line)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool amend_sync_waits(const struct amend_sync *sync, const struct amend_record *record, size_t from)
{
	for (size_t e = edges_of(sync, record); e < sync->n_edges; e++) {
		const struct amend_edge *edge = &sync->edges[e];

		if (edge->after != record)
			break;
		if (edge->before->mark < PLACED + from || edge->before->mark >= record->mark)
			continue;
		if (!edge->before->action->create || !record->action->create)
			return true;
	}
	return false;
}

bool amend_sync_waits_in_vain(const struct amend_sync *sync, const struct amend_record *record)
{
	for (size_t e = edges_of(sync, record); e < sync->n_edges; e++) {
		if (sync->edges[e].after != record)
			break;
		if (sync->edges[e].before->effect == AMEND_EFFECT_MOVED)
			return true;
	}
	return false;
}

static enum amend_status push(struct walk *walk, struct amend_record *record,
			      struct amend_error *err)
{
	if (walk->n_steps == walk->room) {
		size_t room = walk->room ? walk->room * 2 : 64;
		struct step *steps = realloc(walk->steps, room * sizeof(*steps));

		if (!steps)
			return amend_no_memory(err);
		walk->steps = steps;
		walk->room = room;
	}
	record->mark = ON_THE_WAY;
	walk->steps[walk->n_steps++] = (struct step){record, edges_of(walk->sync, record)};
	return AMEND_OK;
}

/* One column a unique key, at most: circles of several keys may go through one record. */
static enum amend_status add_park(struct amend_sync *sync, struct amend_action *action,
				  uint32_t column, struct amend_error *err)
{
	for (uint32_t i = 0; i < action->n_parks; i++) {
		if (action->parks[i] == column)
			return AMEND_OK;
	}
	if (!action->parks)
		action->parks = amend_arena_array(&sync->arena, sync->table->n_keys,
						  sizeof(*action->parks));
	if (!action->parks)
		return amend_no_memory(err);
	action->parks[action->n_parks++] = column;
	return AMEND_OK;
}

static enum amend_status visit(struct walk *walk, struct amend_record *record,
			       struct amend_error *err)
{
	struct amend_sync *sync = walk->sync;
	enum amend_status status = push(walk, record, err);

	while (walk->n_steps > 0 && status == AMEND_OK) {
		struct step *step = &walk->steps[walk->n_steps - 1];
		struct amend_record *here = step->record;
		const struct amend_edge *edge = step->edge < sync->n_edges
							? &sync->edges[step->edge]
							: NULL;

		if (!edge || edge->after != here) {
			here->mark = PLACED + sync->n_todo;
			sync->todo[sync->n_todo++] = here;
			walk->n_steps--;
			continue;
		}
		step->edge++;
		if (edge->before->mark == FRESH && writes_anything(edge->before)) {
			status = push(walk, edge->before, err);
		} else if (edge->before->mark == ON_THE_WAY && edge->park >= 0) {
			/* A circle: it parks before `here` writes. */
			status = add_park(sync, edge->before->action, (uint32_t)edge->park, err);
		}
	}
	return status;
}

/*
 * From the first record that needs a parked value to the one that parked it,
 * nothing may be torn apart.
 */
static enum amend_status glue(struct amend_sync *sync, struct amend_error *err)
{
	size_t *reach = calloc(sync->n_todo + 1, sizeof(*reach)), until = 0;

	if (!reach)
		return amend_no_memory(err);
	for (size_t e = 0; e < sync->n_edges; e++) {
		const struct amend_edge *edge = &sync->edges[e];
		size_t from, to;

		if (edge->before->mark < PLACED || edge->after->mark < PLACED ||
		    edge->before->mark < edge->after->mark)
			continue;
		from = edge->after->mark - PLACED;
		to = edge->before->mark - PLACED;
		if (to > reach[from])
			reach[from] = to;
	}
	for (size_t i = 0; i < sync->n_todo; i++) {
		sync->todo[i]->action->glued = i > 0 && until >= i;
		if (reach[i] > until)
			until = reach[i];
	}
	free(reach);
	return AMEND_OK;
}

/* ---- what lies side by side ---- */

struct place {
	struct amend_record *record;
	const struct amend_value *identity; /* its first column; NULL: there is no row */
	int64_t number;                     /* the same, of a column of numbers */
};

static int by_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	size_t size;
	int order = 0;

	if (!x->identity != !y->identity)
		return x->identity ? -1 : 1;
	if (x->identity && x->number != y->number)
		return x->number < y->number ? -1 : 1;
	if (x->identity && x->identity->kind == AMEND_TEXT && y->identity->kind == AMEND_TEXT) {
		size = x->identity->size < y->identity->size ? x->identity->size : y->identity->size;
		order = size ? memcmp(x->identity->as.text, y->identity->as.text, size) : 0;
	}
	return order ? order
		     : (x->record->line > y->record->line) - (x->record->line < y->record->line);
}

/*
 * Many rows are written in the order in which they lie: a page of the table is then
 * written by one chunk, not by each. Few keep the order of the input.
 */
static enum amend_status sort_list(struct amend_sync *sync, struct amend_error *err)
{
	const struct amend_table *table = sync->table;
	struct place *places;

	if (sync->n_list <= AMEND_SYNC_CHUNK)
		return AMEND_OK;
	places = calloc(sync->n_list, sizeof(*places));
	if (!places)
		return amend_no_memory(err);
	for (size_t i = 0; i < sync->n_list; i++) {
		const struct amend_row *row = sync->list[i]->row;

		places[i].record = sync->list[i];
		if (!row)
			continue;
		places[i].identity = table->n_identity ? &row->values[table->identity[0]]
						       : &row->rowid;
		if (!amend_value_number(places[i].identity, &places[i].number))
			places[i].number = 0;
	}
	qsort(places, sync->n_list, sizeof(*places), by_place);
	for (size_t i = 0; i < sync->n_list; i++)
		sync->list[i] = places[i].record;
	free(places);
	return AMEND_OK;
}

enum amend_status amend_sync_order(struct amend_sync *sync, struct amend_error *err)
{
	struct walk walk = {.sync = sync};
	enum amend_status status = sort_list(sync, err);

	for (size_t i = 0; i < sync->table->n_foreign_keys && status == AMEND_OK; i++) {
		if (amend_sync_key_refers_home(sync->table, &sync->table->foreign_keys[i]))
			status = find_parents(sync, &sync->table->foreign_keys[i], err);
		if (amend_sync_key_refers_home(sync->table, &sync->table->foreign_keys[i]) &&
		    status == AMEND_OK)
			status = amend_sync_order_missing(sync, &sync->table->foreign_keys[i], err);
	}
	sync->n_todo = 0;
	sync->todo = amend_arena_array(&sync->arena, sync->n_list, sizeof(struct amend_record *));
	if (!sync->todo)
		return amend_no_memory(err);
	if (sync->n_edges)
		qsort(sync->edges, sync->n_edges, sizeof(*sync->edges), by_after);
	for (size_t i = 0; i < sync->n_list; i++)
		sync->list[i]->mark = FRESH;
	/*
	 * A circle that parts at a foreign key cannot be parked there. One that is deleted can make way
	 * by the value that others wait for: from it the walk comes back by that edge.
	 */
	for (size_t i = 0; i < sync->n_edges && status == AMEND_OK; i++) {
		struct amend_record *before = sync->edges[i].before;

		if (sync->edges[i].park >= 0 && before->mark == FRESH && before->action->remove)
			status = visit(&walk, before, err);
	}
	for (size_t i = 0; i < sync->n_list && status == AMEND_OK; i++) {
		if (sync->list[i]->mark == FRESH && writes_anything(sync->list[i]))
			status = visit(&walk, sync->list[i], err);
	}
	if (status == AMEND_OK)
		status = glue(sync, err);
	free(walk.steps);
	return status;
}
