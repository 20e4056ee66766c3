"""Django, as an application has it: objects that are loaded, changed and saved.

    django_client.py version    with the field that `amend guard --django` prints
    django_client.py blind      by a program that does not know the version
"""

import os
import sys
import urllib.parse

from stage import Program, Refused, lacks, state

try:
    import django
    import psycopg2
except ImportError as error:
    lacks("python3-" + error.name)

from django.conf import settings

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../src/cli"))
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
)
django.setup()

from amend_fields import VersionField, is_stale  # noqa: E402
from django import forms  # noqa: E402
from django.db import DatabaseError, connections, models, transaction  # noqa: E402
from django.db.utils import OperationalError  # noqa: E402

BLIND = sys.argv[1] == "blind"


class Person(models.Model):
    id = models.IntegerField(primary_key=True)
    name = models.TextField(null=True)
    phone = models.TextField(null=True)
    if not BLIND:
        version = VersionField()

    class Meta:
        app_label = "shop"
        db_table = "person"
        managed = False


def settings_of(url, name):
    """A URL as Django wants it."""
    if not url.startswith("postgresql:"):
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": url, "OPTIONS": {"timeout": 20}}
    parts = urllib.parse.urlsplit(url)
    query = dict(urllib.parse.parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username or query.get("user", ""),
        "PASSWORD": parts.password or query.get("password", ""),
        "HOST": parts.hostname or query.get("host", ""),
        "PORT": str(parts.port or query.get("port", "")),
        "OPTIONS": {"options": f"-c amend.actor={name}"},
    }


class Django(Program):
    def __init__(self):
        super().__init__()
        self.unit = None

    def open(self, url, name):
        self.url, self.item, self.form, self.unit = url, None, None, None
        connections.databases["default"] = settings_of(url, name)
        if hasattr(connections._connections, "default"):  # what was opened before is not this database
            del connections["default"]
        connection = connections["default"]
        connection.ensure_connection()
        if connection.vendor == "sqlite":
            connection.connection.set_trace_callback(self.lock.sees)
            return "-"
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return str(cursor.fetchone()[0])

    def close(self):
        connections["default"].close()

    def write(self, call):
        """What Django's errors mean."""
        try:
            call()
        except DatabaseError as error:
            if is_stale(error):
                raise Refused("refused") from error
            if isinstance(error, OperationalError) and "locked" in str(error):
                raise Refused("locked") from error
            if "did not affect any rows" in str(error):
                raise Refused("missing") from error
            raise

    def state(self):
        item = self.item
        return state([item.pk, item.name, item.phone] + ([] if BLIND else [item.version]))

    def told(self, before):
        return "wrote" if BLIND else f"updated {before} -> {self.state()}"

    # --- steps ---

    def load(self):
        self.item = Person.objects.filter(pk=1).first()
        return "found " + self.state() if self.item else "missing"

    def save(self, *only, **values):
        """save(), or save(update_fields) of those named and of what changes."""
        before = self.state()
        for name, value in values.items():
            setattr(self.item, name, value)
        if only:
            self.write(lambda: self.item.save(update_fields=[*values] + [name for name in only if name != "only"]))
            return "wrote"  # the other fields are not looked at
        self.write(self.item.save)
        return self.told(before)

    def anew(self, **values):
        """As save, of a row that may be gone: then Django makes it anew."""
        self.save(**values)
        return "wrote"

    def insist(self, **values):
        """As save, of a row that must be there."""
        before = self.state()
        for name, value in values.items():
            setattr(self.item, name, value)
        self.write(lambda: self.item.save(force_update=True))
        return self.told(before)

    def update(self, **values):
        """The row as it is, whatever was seen."""
        self.write(lambda: Person.objects.filter(pk=1).update(**values))
        return "wrote"

    def show(self):
        """A page with a form of the record."""
        self.item = Person.objects.get(pk=1)
        form_class = forms.modelform_factory(Person, fields=["name", "phone"] + ([] if BLIND else ["version"]))
        page = form_class(instance=self.item)
        self.form = {name: page[name].value() for name in page.fields}
        self.seen = self.state()
        return "shown " + self.seen

    def post(self, **values):
        """What comes back from it; as every web application does, the record is read anew first."""
        form_class = forms.modelform_factory(Person, fields=list(self.form))
        form = form_class({**self.form, **values}, instance=Person.objects.get(pk=1))
        assert form.is_valid(), form.errors
        self.write(form.save)
        self.item = form.instance
        return self.told(self.seen)

    def begin(self):
        self.unit = transaction.atomic()
        self.unit.__enter__()
        return "begun"

    def commit(self):
        unit, self.unit = self.unit, None
        undone = connections["default"].needs_rollback
        unit.__exit__(None, None, None)
        return "rolled back" if undone else "committed"


Django().live()
