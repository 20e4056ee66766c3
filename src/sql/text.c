/*
 * Statement texts that a connection keeps, by what they depend on.
 * Leaves building them to sql.c, and names on the server to the drivers.
 */
#include <stdlib.h>
#include <string.h>

#include "sql/conn.h"
#include "sql/table.h"

/* Longer texts are rare, and cost little beside what they do. */
enum { LONGEST_TEXT = 16384, PROBES = 4 };

struct amend_text {
	char *text;
	uint64_t hash; /* of the text */
	size_t users;  /* statements that are under way with it: it must stay */
	size_t size;   /* of the shape */
	unsigned char shape[];
};

uint64_t amend_sql_hash(const char *text)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	return hash ? hash : 1;
}

void amend_shape_begin(struct amend_shape *shape, const char *builder,
		       const struct amend_table *table)
{
	shape->size = 0;
	amend_shape_add(shape, builder, strlen(builder) + 1);
	if (!table)
		return;
	amend_shape_add(shape, amend_table_digest(table), AMEND_TABLE_DIGEST);
	amend_shape_add(shape, &table->version, sizeof(table->version));
	amend_shape_add(shape, &table->version_is_time, sizeof(table->version_is_time));
}

void amend_shape_add(struct amend_shape *shape, const void *bytes, size_t size)
{
	if (shape->size > AMEND_SHAPE_ROOM || size > AMEND_SHAPE_ROOM - shape->size) {
		shape->size = AMEND_SHAPE_ROOM + 1;
		return;
	}
	if (size > 0)
		memcpy(shape->bytes + shape->size, bytes, size);
	shape->size += size;
}

static size_t first_slot(const struct amend_shape *shape)
{
	uint64_t hash = 14695981039346656037u;

	for (size_t i = 0; i < shape->size; i++)
		hash = (hash ^ shape->bytes[i]) * 1099511628211u;
	return (size_t)(hash ^ hash >> 32);
}

static bool is_of(const struct amend_text *text, const struct amend_shape *shape)
{
	return text && text->size == shape->size &&
	       memcmp(text->shape, shape->bytes, shape->size) == 0;
}

void amend_sql_init_shape(struct amend_sql *sql, struct amend_conn *db,
			  const struct amend_shape *shape)
{
	size_t first;

	amend_sql_init(sql, db);
	if (shape->size > AMEND_SHAPE_ROOM)
		return;
	sql->shape = shape;
	first = first_slot(shape);
	for (size_t i = 0; i < PROBES && !sql->known; i++) {
		struct amend_text *text = db->texts[(first + i) % AMEND_TEXTS];

		if (is_of(text, shape))
			sql->known = text;
	}
	if (sql->known)
		sql->known->users++;
}

void amend_sql_forget(struct amend_sql *sql)
{
	if (sql->known)
		sql->known->users--;
	sql->known = NULL;
	sql->shape = NULL;
}

const char *amend_sql_whole(const struct amend_sql *sql, uint64_t *hash)
{
	*hash = sql->known ? sql->known->hash : 0;
	if (!sql->known)
		return amend_buffer_string(&sql->text);
	/* Appending values may have failed. */
	return sql->text.failed ? NULL : sql->known->text;
}

static void free_text(struct amend_text *text)
{
	if (text)
		free(text->text);
	free(text);
}

/* In a free place, else in that of another that nobody uses now. Without memory, or room, it is built again. */
void amend_sql_keep(struct amend_conn *db, const struct amend_sql *sql)
{
	struct amend_text **place = NULL, *text;
	size_t first;

	if (!sql->shape || sql->known || sql->once || sql->text.failed ||
	    sql->text.size > LONGEST_TEXT)
		return;
	first = first_slot(sql->shape);
	for (size_t i = 0; i < PROBES; i++) {
		struct amend_text **at = &db->texts[(first + i) % AMEND_TEXTS];

		if (is_of(*at, sql->shape))
			return;
		if (!*at || (!place && (*at)->users == 0))
			place = at;
		if (!*at)
			break;
	}
	if (!place)
		return;
	text = malloc(sizeof(*text) + sql->shape->size);
	if (!text)
		return;
	text->text = malloc(sql->text.size + 1);
	if (!text->text) {
		free(text);
		return;
	}
	memcpy(text->text, amend_buffer_string(&sql->text), sql->text.size + 1);
	text->hash = amend_sql_hash(text->text);
	text->users = 0;
	text->size = sql->shape->size;
	memcpy(text->shape, sql->shape->bytes, text->size);
	free_text(*place);
	*place = text;
}

void amend_texts_free(struct amend_conn *db)
{
	for (size_t i = 0; i < AMEND_TEXTS; i++) {
		free_text(db->texts[i]);
		db->texts[i] = NULL;
	}
}
