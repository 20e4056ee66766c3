#!/usr/bin/env python3
"""Guarded tables and programs that are not amend: Python's drivers, the engines' commands, Django. Speaks TAP.

    clients.py AMEND ENGINE     ENGINE: sqlite, postgresql

Needs what Debian calls python3-django, python3-psycopg2, sqlite3 and postgresql-client; without them
it is skipped, or fails where $CI is "true". AMEND_TEST_POSTGRES and AMEND_TEST_TMP are as for the other tests.
"""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

AMEND, ENGINE = os.path.abspath(sys.argv[1]), sys.argv[2]
SQLITE = ENGINE == "sqlite"


def skip(reason):
    if os.environ.get("CI") == "true":
        sys.exit(f"Bail out! {reason}")
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


try:
    import sqlite3

    import django

    if not SQLITE:
        import psycopg2
except ImportError as error:
    skip(str(error))
if not SQLITE and not os.environ.get("AMEND_TEST_POSTGRES"):
    skip("no server")

FOLDER = tempfile.mkdtemp(prefix="amend-clients-", dir=os.environ.get("AMEND_TEST_TMP"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
if SQLITE:
    URL = os.path.join(FOLDER, "app.db")
else:
    server = urllib.parse.urlsplit(os.environ["AMEND_TEST_POSTGRES"])
    NAME = f"amend_clients_{os.getpid()}"
    admin = psycopg2.connect(os.environ["AMEND_TEST_POSTGRES"])
    admin.autocommit = True
    admin.cursor().execute(f"CREATE DATABASE {NAME}")
    URL = f"{server.scheme}://{server.netloc}/{NAME}" + (f"?{server.query}" if server.query else "")


def amend(*arguments):
    done = subprocess.run([AMEND, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def connect():
    if SQLITE:
        return sqlite3.connect(URL)
    return psycopg2.connect(URL)


def rows(sql):
    connection = connect()
    cursor = connection.cursor()
    cursor.execute(sql)
    found = cursor.fetchall()
    connection.close()
    return found


def command(sql):
    """The engine's own command; its message where it fails."""
    program = ["sqlite3", "-bail", URL] if SQLITE else ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", URL]
    done = subprocess.run(program, input=sql, capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


def is_refusal(text):
    return ("was changed after it was read" if SQLITE else "was written,") in text


# --- Django, as an application has it ---

if SQLITE:
    DATABASE = {"ENGINE": "django.db.backends.sqlite3", "NAME": URL}
else:
    query = dict(urllib.parse.parse_qsl(server.query))
    DATABASE = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": NAME,
        "USER": urllib.parse.unquote(server.username or query.get("user", "")),
        "PASSWORD": server.password or "",
        "HOST": server.hostname or query.get("host", ""),
        "PORT": str(server.port or query.get("port", "")),
        "OPTIONS": {"options": "-c search_path=public"},
    }
with open(os.path.join(FOLDER, "amend_fields.py"), "w", encoding="utf-8") as file:
    file.write(amend("guard", "--django"))
sys.path.insert(0, FOLDER)

from django.conf import settings  # noqa: E402

settings.configure(DATABASES={"default": DATABASE}, DEFAULT_AUTO_FIELD="django.db.models.AutoField", USE_TZ=True)
django.setup()

from amend_fields import VersionField, is_stale  # noqa: E402
from django import forms  # noqa: E402
from django.db import DatabaseError, connection, models, transaction  # noqa: E402


class Stock(models.Model):
    name = models.TextField()
    qty = models.IntegerField(default=0)
    version = VersionField()

    class Meta:
        app_label = "shop"
        db_table = "stock"


class Plain(models.Model):
    """The same table, by a program that does not know the version."""

    name = models.TextField()
    qty = models.IntegerField(default=0)

    class Meta:
        app_label = "shop"
        db_table = "stock"
        managed = False


with connection.schema_editor() as editor:
    editor.create_model(Stock)
connection.close()
TABLE = "stock" if SQLITE else "public.stock"
amend("guard", URL, TABLE, "--history", "--version-column", "version", "--yes")


def made(**values):
    Stock.objects.all().delete()
    return Stock.objects.create(name="Lamp", qty=1, **values)


def stale(write):
    try:
        with transaction.atomic():
            write()
    except DatabaseError as error:
        assert is_stale(error), error
        return
    raise AssertionError("it passed")


# --- cases ---


def driver_refused():
    """Python's driver: a row written back as it was read is refused when stale, and nothing of it stays"""
    item = made()
    one = connect()
    cursor = one.cursor()
    mark = "?" if SQLITE else "%s"
    sql = f"UPDATE stock SET name = {mark}, version = {mark} WHERE id = {mark}"
    cursor.execute(sql, ("Lantern", item.version, item.pk))
    one.commit()
    try:
        cursor.execute(sql, ("Torch", item.version, item.pk))
    except Exception as error:  # each driver has its own
        assert is_refusal(str(error)), error
        assert SQLITE or error.pgcode == "ZV409", error.pgcode
    else:
        raise AssertionError("it passed")
    one.rollback()
    one.close()
    assert rows("SELECT name FROM stock") == [("Lantern",)]


def command_recorded():
    """the engine's command: recorded, refused when stale"""
    item = made()
    assert command("UPDATE stock SET qty = qty + 1;") == ""
    assert is_refusal(command(f"UPDATE stock SET qty = 9, version = {item.version};"))
    assert '"qty":[1,2]' in rows(f"SELECT fields FROM {'amend_change' if SQLITE else 'amend.change'} ORDER BY id DESC LIMIT 1")[0][0]


def bulk_load():
    """COPY, or many rows at once: each is recorded"""
    made()
    if SQLITE:
        connection_ = connect()
        connection_.executemany("INSERT INTO stock (name, qty, version) VALUES (?, ?, 1)", [("a", 1), ("b", 2)])
        connection_.commit()
        connection_.close()
    else:
        assert command("COPY public.stock (name, qty, version) FROM STDIN;\na\t1\t1\nb\t2\t1\n\\.\n") == ""
    found = rows(f"SELECT op FROM {'amend_change' if SQLITE else 'amend.change'} ORDER BY id DESC LIMIT 2")
    assert found == [("create",), ("create",)], found


def save_twice():
    """Django: one object is saved twice; another that was read before is refused"""
    item = made()
    other = Stock.objects.get(pk=item.pk)
    item.qty = 2
    item.save()
    item.qty = 3
    item.save()
    other.name = "Torch"
    stale(other.save)
    item.refresh_from_db()
    assert (item.name, item.qty) == ("Lamp", 3)
    item.save()


def unknowing():
    """Django without the field: it passes and overwrites, and is recorded"""
    item = made()
    plain = Plain.objects.get(pk=item.pk)
    item.qty = 2
    item.save()
    plain.name = "Torch"
    plain.save()
    assert rows("SELECT name, qty FROM stock") == [("Torch", 1)]
    stale(item.save)


def narrow_saves():
    """Django: save(update_fields) is checked where it names the version, and counted either way"""
    item = made()
    other = Stock.objects.get(pk=item.pk)
    item.qty = 2
    item.save(update_fields=["qty"])
    item.save()
    other.qty = 5
    stale(lambda: other.save(update_fields=["qty", "version"]))
    other.save(update_fields=["qty"])
    stale(item.save)


def expressions():
    """Django: F(), update() and update_or_create()"""
    item = made()
    item.qty = models.F("qty") + 5
    item.save()
    item.refresh_from_db()
    assert item.qty == 6
    Stock.objects.filter(pk=item.pk).update(qty=models.F("qty") + 1)
    stale(item.save)
    again, created = Stock.objects.update_or_create(pk=item.pk, defaults={"name": "Lantern"})
    assert not created and again.qty == 7
    again.save()


def in_bulk():
    """Django: bulk_update is checked where it names the version"""
    item = made()
    other = Stock.objects.get(pk=item.pk)
    item.qty = 2
    item.save()
    other.qty = 9
    stale(lambda: Stock.objects.bulk_update([other], ["qty", "version"]))
    Stock.objects.bulk_update([other], ["qty"])
    assert rows("SELECT qty FROM stock") == [(9,)]
    Stock.objects.bulk_create([Stock(name="a"), Stock(name="b")])
    assert rows("SELECT count(*) FROM stock") == [(3,)]


def rolled_back():
    """Django: what a rollback or a savepoint undoes is not counted"""
    item = made()
    try:
        with transaction.atomic():
            item.qty = 2
            item.save()
            raise KeyError
    except KeyError:
        pass
    item.save()
    with transaction.atomic():
        item.qty = 3
        item.save()
        try:
            with transaction.atomic():
                item.qty = 4
                item.save()
                item.save()
                raise KeyError
        except KeyError:
            pass
        item.qty = 5
        item.save()
    item.save()
    assert rows("SELECT qty FROM stock") == [(5,)]


def stale_form():
    """Django: a form that was opened before another's save is refused"""
    item = made()
    form_class = forms.modelform_factory(Stock, fields=["name", "qty", "version"])
    page = form_class(instance=Stock.objects.get(pk=item.pk))
    assert 'type="hidden" name="version"' in str(page["version"])
    posted = {"name": "Torch", "qty": "7", "version": str(page["version"].value())}
    item.qty = 2
    item.save()
    form = form_class(posted, instance=Stock.objects.get(pk=item.pk))
    assert form.is_valid(), form.errors
    stale(form.save)
    posted["version"] = str(item.version)
    form = form_class(posted, instance=Stock.objects.get(pk=item.pk))
    assert form.is_valid(), form.errors
    form.save()


def dumped():
    """dump and restore: the guard is there, and check finds nothing"""
    item = made()
    if SQLITE:
        copy = os.path.join(FOLDER, "copy.db")
        dump = subprocess.run(["sqlite3", URL, ".dump"], capture_output=True, text=True, check=True).stdout
        subprocess.run(["sqlite3", copy], input=dump, text=True, check=True, capture_output=True)
        found = subprocess.run(
            ["sqlite3", copy, f"UPDATE stock SET qty = 3, version = {item.version - 1}"], capture_output=True, text=True, check=False
        )
    else:
        copy = URL.replace(NAME, NAME + "_copy")
        admin.cursor().execute(f"CREATE DATABASE {NAME}_copy")
        dump = subprocess.run(["pg_dump", URL], capture_output=True, text=True, check=True).stdout
        subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", copy], input=dump, text=True, check=True, capture_output=True)
        found = subprocess.run(
            ["psql", "-X", copy, "-c", f"UPDATE stock SET qty = 3, version = {item.version - 1}"], capture_output=True, text=True, check=False
        )
    assert is_refusal(found.stderr), found.stderr
    lines = [line for line in amend("check", copy).splitlines() if " guard: " in line]
    assert len(lines) == 1 and lines[0].startswith("ok"), lines


def bad_import():
    """Django edits after a bad import, which one command undoes: its edits of other fields stay, its older object is refused"""
    first, second = made(), Stock.objects.create(name="Desk", qty=2)
    feed = os.path.join(FOLDER, "feed.csv")

    def import_(*names):
        with open(feed, "w", encoding="utf-8") as file:
            file.write("id,name\n" + "".join(f"{item.pk},{name}\n" for item, name in zip((first, second), names)))
        return json.loads(amend("sync", feed, URL, TABLE, "--match", "id", "--adopt", "incoming", "--json"))

    import_("Lamp", "Desk")
    run = str(import_("Lampe", "Tisch")["run"])
    first.refresh_from_db()
    second.refresh_from_db()
    first.qty = 10
    first.save()
    undone = json.loads(amend("revert", URL, "--run", run, "--yes", "--json"))
    assert (undone["updated"], undone["conflicts"]) == (2, 0), undone
    assert rows("SELECT name, qty FROM stock ORDER BY id") == [("Lamp", 10), ("Desk", 2)]
    second.qty = 20
    stale(second.save)
    second.refresh_from_db()
    second.qty = 20
    second.save()
    report = import_("Lamp", "Bench")
    assert (report["updated"], report["open_conflicts"]) == (1, 0), report
    assert rows("SELECT name, qty FROM stock ORDER BY id") == [("Lamp", 10), ("Bench", 20)]


CASES = [driver_refused, command_recorded, bulk_load, save_twice, unknowing, narrow_saves, expressions, in_bulk, rolled_back, stale_form, bad_import, dumped]


def main():
    failed = 0
    print(f"1..{len(CASES)}")
    for number, case in enumerate(CASES, 1):
        try:
            case()
        except Exception as error:  # told as a failed case
            failed = 1
            connection.close()
            print("not ok", number, "-", case.__doc__)
            for line in f"{type(error).__name__}: {error}".splitlines():
                print("#", line)
        else:
            print("ok", number, "-", case.__doc__)
    connection.close()
    if not SQLITE:
        for name in (NAME, NAME + "_copy"):
            admin.cursor().execute(f"DROP DATABASE IF EXISTS {name}")
    return failed


sys.exit(main())
