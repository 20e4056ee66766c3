#!/usr/bin/env python3
"""What programs use today, on the first records of a feed: Django's ORM in two ways, and sqlite-utils.

    orm.py django-loop|django-update-or-create|sqlite-utils DB FEED RECORDS

Prints {"us": microseconds a record}: of the work alone, without the interpreter's start and imports. What was
read is read again and compared. Leaves the choice of what runs to workload_a.py."""

import csv
import itertools
import json
import re
import sys
import time

COLUMNS = ["remote_id", "slug", "name", "description", "parent_slug", "position"]


def records(path, count):
    with open(path, encoding="utf-8", newline="") as file:
        for row in itertools.islice(csv.DictReader(file), count):
            row["parent_slug"] = row["parent_slug"] or None
            row["position"] = int(row["position"])
            yield row


def django_model(db):
    import django
    from django.conf import settings

    if db.startswith("postgresql:"):
        database = {"ENGINE": "django.db.backends.postgresql", "NAME": re.search(r"///(\w+)", db)[1],
                    "HOST": re.search(r"host=([^&]+)", db)[1], "USER": re.search(r"user=([^&]+)", db)[1]}
    elif db.startswith("mariadb:"):
        database = {"ENGINE": "django.db.backends.mysql", "NAME": re.search(r"localhost/(\w+)", db)[1],
                    "HOST": re.search(r"socket=(.+)", db)[1], "USER": re.search(r"//(\w+)@", db)[1],
                    "OPTIONS": {"charset": "utf8mb4"}}
    else:
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": db}
    settings.configure(DATABASES={"default": database}, USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
    django.setup()
    from django.db import models
    from django.utils import timezone

    class Taxonomy(models.Model):
        remote_id = models.TextField(unique=True, null=True)
        slug = models.TextField(unique=True)
        name = models.TextField()
        description = models.TextField()
        parent_slug = models.TextField(null=True)
        position = models.IntegerField()
        updated_at = models.DateTimeField(default=timezone.now)

        class Meta:
            app_label = "bench"
            db_table = "taxonomy"
            managed = False

    return Taxonomy


def find(model, record):
    """By remote_id, else by slug; held until the transaction ends (on SQLite Django holds nothing)."""
    rows = model.objects.select_for_update()
    return (rows.filter(remote_id=record["remote_id"]).first()
            or rows.filter(slug=record["slug"], remote_id=None).first())


def django_loop(model, feed):
    """One transaction a record, a locked read, and a save of what differs."""
    from django.db import transaction

    for record in feed:
        with transaction.atomic():
            row = find(model, record)
            if row is None:
                model.objects.create(**record)
                continue
            changed = [column for column in COLUMNS if getattr(row, column) != record[column]]
            for column in changed:
                setattr(row, column, record[column])
            if changed:
                row.save(update_fields=changed)


def django_update_or_create(model, feed):
    """All in one transaction; what only the slug finds is found by the slug."""
    from django.db import transaction

    with transaction.atomic():
        for record in feed:
            key = "remote_id"
            if not model.objects.filter(remote_id=record["remote_id"]).exists():
                key = "slug"
            values = {column: record[column] for column in COLUMNS if column != key}
            model.objects.update_or_create(**{key: record[key]}, defaults=values)


def with_django(work, db, feed):
    model = django_model(db)
    model.objects.count()  # connects
    began = time.perf_counter()
    work(model, feed)
    took = time.perf_counter() - began
    for record in feed:
        row = model.objects.get(remote_id=record["remote_id"])
        if any(getattr(row, column) != record[column] for column in COLUMNS):
            raise SystemExit(f"orm.py: wrong result for {record['remote_id']}")
    return took


def with_sqlite_utils(db, feed):
    """It knows one key alone, and leaves out what is new: so only records that its key finds are given to it."""
    import sqlite_utils

    table = sqlite_utils.Database(db)["taxonomy"]
    known = {row[0] for row in table.db.execute("SELECT remote_id FROM taxonomy")}
    feed[:] = [record for record in feed if record["remote_id"] in known]
    began = time.perf_counter()
    table.upsert_all(feed, pk="remote_id")
    took = time.perf_counter() - began
    for record in feed:
        row = next(table.rows_where("remote_id = ?", [record["remote_id"]]))
        if any(row[column] != record[column] for column in COLUMNS):
            raise SystemExit(f"orm.py: wrong result for {record['remote_id']}")
    return took


def main(what, db, path, count):
    feed = list(records(path, int(count)))
    if what == "sqlite-utils":
        took = with_sqlite_utils(db, feed)
    else:
        took = with_django(django_loop if what == "django-loop" else django_update_or_create, db, feed)
    print(json.dumps({"us": took * 1e6 / len(feed), "records": len(feed)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
