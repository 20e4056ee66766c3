#!/usr/bin/env python3
"""docs/stop-losing-edits.md, run as it stands by somebody new to it. Speaks TAP.

    guide.py AMEND PAGE

Each section is a case in a folder of its own, with the application that its reader has already. Of its blocks
`console` holds commands behind "$ " and what they print ("..." stands for anything); `python PATH` and `ruby PATH` are
files. Then two people open one record and save, in that application. A section without blocks is not run.
Where Debian's packages are missing it is skipped, or fails where CI is "true".
"""

import fnmatch
import os
import re
import subprocess
import sys
import tempfile

AMEND, PAGE = os.path.abspath(sys.argv[1]), sys.argv[2]
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else "python3"
SCHEMA = "CREATE TABLE {} ({} integer PRIMARY KEY, name text, qty integer); INSERT INTO {} VALUES (42, 'Lamp', 10);"

DJANGO_MODELS = """from django.db import models


class Stock(models.Model):
    name = models.CharField(max_length=80)
    qty = models.IntegerField(default=0)
"""

DJANGO_TABS = """
import re
from django.test import Client
from django.conf import settings
settings.ALLOWED_HOSTS.append("testserver")
tabs = [Client(), Client()]
pages = [tab.get("/42/").content.decode() for tab in tabs]
typed = [{"name": "Lamp", "qty": "5"}, {"name": "Torch", "qty": "10"}]
for values, page in zip(typed, pages):
    values["version"] = re.search('name="version" value="([0-9]+)"', page)[1]
answers = [tab.post("/42/", values) for tab, values in zip(tabs, typed)]
print(*(answer.status_code for answer in answers))
print("Torch" in answers[1].content.decode(), "Somebody else" in answers[1].content.decode())
"""

RAILS_TABS = """
require "active_record"
require_relative "save"
ActiveRecord::Base.establish_connection(adapter: "sqlite3", database: "app.db")
class Stock < ActiveRecord::Base
end
tabs = [Stock.find(42), Stock.find(42)]
puts save(tabs[0], qty: 5).inspect, save(tabs[1], name: "Torch").inspect, save(tabs[0], qty: 6).inspect
"""

SQLALCHEMY_TABS = """
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError
from models import Stock
engine = create_engine("sqlite:///app.db")
tabs = []
for _ in range(2):
    with Session(engine, expire_on_commit=False) as session:
        tabs.append(session.get(Stock, 42))
def save(stock, **values):
    with Session(engine, expire_on_commit=False) as session:
        session.add(stock)
        for name, value in values.items():
            setattr(stock, name, value)
        try:
            session.commit()
            return "saved"
        except StaleDataError:
            return "stale"
print(save(tabs[0], qty=5), save(tabs[1], name="Torch"), save(tabs[0], qty=6))
"""


def skip(reason):
    if os.environ.get("CI") == "true":
        sys.exit(f"Bail out! {reason}")
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


class Shell:
    """One reader's terminal: a folder, and what he has set."""

    def __init__(self, folder):
        self.folder, self.number = folder, 0
        tools = os.path.join(folder, ".bin")
        os.mkdir(tools)
        os.symlink(AMEND, os.path.join(tools, "amend"))
        if PYTHON != "python3":
            os.symlink(PYTHON, os.path.join(tools, "python3"))
        self.process = subprocess.Popen(
            ["sh"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PATH": tools + ":" + os.environ["PATH"], "AMEND_AS": "anna", "PYTHONDONTWRITEBYTECODE": "1"},
        )

    def run(self, command):
        self.process.stdin.write("{ " + command + "\n} </dev/null\necho END\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line == "END\n":
                return "".join(lines)
            lines.append(line)
        raise AssertionError(f"the shell ended at: {command}")

    def write(self, path, text):
        path = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def expect(shell, command, expected):
    found = shell.run(command)
    pattern = "".join("*" if part == "..." else re.sub(r"([\[*?])", r"[\1]", part) for part in re.split(r"(\.\.\.)", expected))
    assert fnmatch.fnmatchcase(found.strip(), pattern.strip()), f"$ {command}\nexpected:\n{expected}\nfound:\n{found}"


def prepare(shell, title):
    if title == "Django":
        expect(shell, "python3 -m django startproject site_ .", "")
        expect(shell, "python3 manage.py startapp shop", "")
        shell.write("shop/models.py", DJANGO_MODELS)
        shell.write(
            "site_/urls.py",
            "from django.urls import path\nfrom shop import views\nurlpatterns = [path('<int:pk>/', views.edit)]\n",
        )
        shell.write("shop/views.py", "def edit(request, pk):\n    pass\n")
        expect(shell, "echo \"INSTALLED_APPS += ['shop']\" >>site_/settings.py", "")
        expect(shell, "python3 manage.py makemigrations shop && python3 manage.py migrate", "...Create model Stock...OK...")
        expect(shell, "sqlite3 db.sqlite3 \"INSERT INTO shop_stock VALUES (42, 'Lamp', 10)\"", "")
    else:
        table, key = ("stocks", "id") if title == "Rails" else ("stock", "sku")
        expect(shell, 'sqlite3 app.db "' + SCHEMA.format(table, key, table) + '"', "")
    if title.startswith("What"):
        expect(shell, "amend guard app.db stock --history --yes", "stock is guarded: ...")


def two_people(shell, title):
    if title == "Django":
        shell.write("tabs.py", DJANGO_TABS)
        expect(shell, "python3 manage.py shell -c 'exec(open(\"tabs.py\").read())'", "...200 409\nTrue True")
        expect(shell, 'sqlite3 db.sqlite3 "SELECT name, qty FROM shop_stock"', "Lamp|5")
        expect(shell, "amend check db.sqlite3 | grep guard", "ok      guard: shop_stock: version column version, stale rule equal, history")
    elif title == "Rails":
        shell.write("tabs.rb", RAILS_TABS)
        expect(shell, "ruby tabs.rb", "true\nfalse\ntrue")
        expect(shell, 'sqlite3 app.db "SELECT name, qty FROM stocks"', "Lamp|6")
    elif title == "SQLAlchemy":
        shell.write("tabs.py", SQLALCHEMY_TABS)
        expect(shell, "python3 tabs.py", "saved stale saved")
        expect(shell, 'sqlite3 app.db "SELECT name, qty FROM stock"', "Lamp|6")


def sections():
    """(title, [(kind, path, text)]) of those with blocks."""
    with open(PAGE, encoding="utf-8") as file:
        parts = re.split(r"^## (.*)\n", file.read(), flags=re.M)[1:]
    for title, text in zip(parts[::2], parts[1::2]):
        blocks = re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", text, flags=re.M | re.S)
        if blocks:
            yield title, blocks


def run(title, blocks):
    with tempfile.TemporaryDirectory(prefix="amend-guide-", dir=os.environ.get("AMEND_TEST_TMP")) as folder:
        shell = Shell(folder)
        try:
            prepare(shell, title)
            for kind, path, text in blocks:
                if kind != "console":
                    shell.write(path, text)
                    continue
                for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", text, flags=re.M):
                    expect(shell, command, expected)
            two_people(shell, title)
        finally:
            shell.end()


def main():
    for command, package in (
        ([PYTHON, "-c", "import django"], "python3-django"),
        ([PYTHON, "-c", "import sqlalchemy"], "python3-sqlalchemy"),
        (["ruby", "-e", 'require "active_record"; require "sqlite3"'], "ruby-activerecord, ruby-sqlite3"),
        (["sqlite3", "--version"], "sqlite3"),
    ):
        try:
            subprocess.run(command, capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            skip("lacks " + package)
    cases, failed = list(sections()), 0
    print(f"1..{len(cases)}")
    for number, (title, blocks) in enumerate(cases, 1):
        try:
            run(title, blocks)
        except AssertionError as error:
            failed += 1
            print("not ok", number, "-", title)
            for line in str(error).splitlines():
                print("#", line)
        else:
            print("ok", number, "-", title)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
