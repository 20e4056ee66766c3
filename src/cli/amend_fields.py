"""Versions that the database keeps: a field for Django models of tables that `amend guard` guards.

    from amend_fields import VersionField

    class Stock(models.Model):
        name = models.TextField()
        version = VersionField()

A save writes the version back as it was read, and the database refuses it when the record has
changed since (`is_stale` tells that error from others). The field counts along, so that one object can be saved
twice, forgets what a rollback has undone, and stands in forms as a hidden field, so that a form
which was opened before somebody else's save is refused too.

What does not write the version is not checked: save(update_fields=...) without it, only() and defer(),
QuerySet.update(), bulk_update() of other fields. Name the version there too, and it is:
save(update_fields=["name", "version"]), bulk_update(objects, ["name", "version"]). After bulk_update,
and after update(), read the objects again before they are saved.

Made by `amend guard --django`. Django 3.2 or newer.
"""

import time

from django import forms
from django.db import connections, models
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_save

__all__ = ["VersionField", "is_stale"]

COUNTED = "_amend_counted"


def is_stale(error):
    """Whether this database error is the refusal of a record that has changed since it was read."""
    while error is not None:
        if getattr(error, "pgcode", None) == "ZV409" or getattr(error, "sqlstate", None) == "ZV409":
            return True
        if error.args[:1] == (1644,) and " was written, " in str(error):  # MariaDB's drivers have no SQLSTATE
            return True
        if str(error).startswith("amend: ") and "was changed after it was read" in str(error):
            return True
        error = error.__cause__
    return False


def clock():
    """Where versions begin: later than any that a deleted record of the same key had."""
    return int(time.time() * 1000)


class Counted:
    """One save inside a transaction: what the version was before it, until it is known to stand."""

    def __init__(self, before, using):
        self.before = before
        self.using = using
        self.stands = False
        connections[using].on_commit(self)

    def __call__(self):
        self.stands = True

    def undone(self):
        return not self.stands and not any(self in entry for entry in connections[self.using].run_on_commit)


class VersionAttribute(DeferredAttribute):
    """The version as it is now, after what was counted and rolled back."""

    def __get__(self, instance, cls=None):
        if instance is None:
            return self
        self.settle(instance)
        return super().__get__(instance, cls)

    def __set__(self, instance, value):
        instance.__dict__[self.field.attname] = value
        instance.__dict__.pop(COUNTED, None)

    def settle(self, instance):
        counted = instance.__dict__.get(COUNTED, [])
        while counted and counted[0].stands:
            counted.pop(0)
        for place, save in enumerate(counted):
            if save.undone():
                instance.__dict__[self.field.attname] = save.before
                del counted[place:]
                break


class VersionField(models.BigIntegerField):
    """The version column of a guarded table."""

    descriptor_class = VersionAttribute

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("default", clock)
        super().__init__(*args, **kwargs)

    def contribute_to_class(self, cls, name, **kwargs):
        super().contribute_to_class(cls, name, **kwargs)
        if not cls._meta.abstract:

            def count(instance, created, raw, using, **_):
                if isinstance(instance, cls) and not created and not raw:
                    self.count(instance, using)

            post_save.connect(count, weak=False, dispatch_uid=f"amend {cls._meta.label} {name}")

    def count(self, instance, using):
        """The database has moved the version by one."""
        attribute = getattr(type(instance), self.attname)
        attribute.settle(instance)
        version = instance.__dict__.get(self.attname)
        if not isinstance(version, int):
            return
        if connections[using].in_atomic_block:
            instance.__dict__.setdefault(COUNTED, []).append(Counted(version, using))
        instance.__dict__[self.attname] = version + 1

    def formfield(self, **kwargs):
        kwargs["widget"] = forms.HiddenInput
        return super().formfield(**kwargs)
