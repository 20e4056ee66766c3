"""SQLAlchemy, as an application has it: objects of a session that are loaded, changed and flushed.

    sqlalchemy_client.py count     version_id_col: it counts, and asks for the old version
    sqlalchemy_client.py server    and version_id_generator = False: it asks, and the trigger counts
    sqlalchemy_client.py blind     by a program that does not know the version
"""

import sys

from stage import Program, Refused, lacks, state

try:
    import psycopg2
    import sqlalchemy
except ImportError as error:
    lacks("python3-" + error.name)

from sqlalchemy import Column, FetchedValue, Integer, Text, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, declarative_base
from sqlalchemy.orm.exc import StaleDataError

STYLE = sys.argv[1]
Base = declarative_base()


class Person(Base):
    __tablename__ = "person"
    id = Column(Integer, primary_key=True)
    name = Column(Text)
    phone = Column(Text)
    if STYLE == "count":
        version = Column(Integer, nullable=False)
        __mapper_args__ = {"version_id_col": version}
    if STYLE == "server":
        version = Column(Integer, nullable=False, server_default="1", server_onupdate=FetchedValue())
        __mapper_args__ = {"version_id_col": version, "version_id_generator": False}


class Alchemy(Program):
    def open(self, url, name):
        if url.startswith("postgresql:"):
            engine = create_engine(
                "postgresql+psycopg2://", creator=lambda: psycopg2.connect(url, options=f"-c amend.actor={name}")
            )
        else:
            engine = create_engine("sqlite:///" + url, connect_args={"timeout": 20})
            event.listen(engine, "connect", lambda connection, _: connection.set_trace_callback(self.lock.sees))
        self.engine, self.unit, self.item = engine, False, None
        self.session = Session(engine, expire_on_commit=False)
        if engine.dialect.name == "sqlite":
            return "-"
        process = self.session.execute(sqlalchemy.text("SELECT pg_backend_pid()")).scalar()
        self.session.commit()
        return str(process)

    def close(self):
        self.session.close()
        self.engine.dispose()

    def write(self, call):
        """What SQLAlchemy's errors mean."""
        try:
            call()
            self.session.flush()
        except StaleDataError as error:
            self.session.rollback()
            raise Refused("stale") from error
        except DBAPIError as error:
            self.session.rollback()
            text = str(error.orig)
            if getattr(error.orig, "pgcode", None) == "ZV409" or "was changed after it was read" in text:
                raise Refused("refused") from error
            if "database is locked" in text:
                raise Refused("locked") from error
            raise

    def state(self):
        item = self.item
        return state([item.id, item.name, item.phone] + ([] if STYLE == "blind" else [item.version]))

    # --- steps ---

    def load(self):
        self.session.expire_all()
        self.item = self.session.get(Person, 1)
        if not self.unit:
            self.session.commit()
        return "found " + self.state() if self.item else "missing"

    def save(self, **values):
        before = self.state()

        def change():
            for name, value in values.items():
                setattr(self.item, name, value)

        self.write(change)
        said = "wrote" if STYLE == "blind" else f"updated {before} -> {self.state()}"
        if not self.unit:
            self.session.commit()
        return said

    def delete(self):
        before = self.state()
        self.write(lambda: self.session.delete(self.item))
        if not self.unit:
            self.session.commit()
        return "wrote" if STYLE == "blind" else f"deleted {before}"

    def begin(self):
        self.unit = True
        return "begun"

    def commit(self):
        self.unit = False
        if not self.session.in_transaction():
            return "rolled back"  # by the step that failed
        self.session.commit()
        return "committed"


Alchemy().live()
