/* Names of tables from outside: SCHEMA.NAME with quotes. Refused or found, never executed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <amend/amend.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct amend_conn *db;
	struct amend_table *table = NULL;
	struct amend_rows rows = AMEND_ROWS_INIT;
	struct amend_error err;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!db &&
	    (amend_open(":memory:", NULL, &db, &err) != AMEND_OK ||
	     amend_query(db, "CREATE TABLE \"we\"\"ird.na me;--\" (\"a b\" INTEGER PRIMARY KEY)",
			 NULL, 0, NULL, &err) != AMEND_OK))
		abort();
	if (amend_table_open(db, text, &table, &err) == AMEND_OK) {
		/* What it found can be used as a name in SQL. */
		char sql[512];

		if (strlen(table->sql) < 400) {
			memcpy(sql, "SELECT * FROM ", 15);
			strcat(sql, table->sql);
			if (amend_query(db, sql, NULL, 0, &rows, &err) != AMEND_OK)
				abort();
		}
	}
	amend_rows_release(&rows);
	amend_table_close(table);
	free(text);
	return 0;
}
