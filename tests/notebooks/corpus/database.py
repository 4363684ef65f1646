# %% plain
import sqlite3
from contextlib import closing, contextmanager
# %%
db = sqlite3.connect(":memory:")
db.execute("create table person (name text, age integer)")
# %%
people = [("ann", 31), ("bob", 40)]
# %%
db.executemany("insert into person values (?, ?)", people)
# %%
n_then = db.execute("select count(*) from person").fetchone()[0]
# %%
def insert(connection, name, age):
    with connection:
        connection.execute("insert into person values (?, ?)", (name, age))
# %%
insert(db, "cyd", 22)
# %%
def names(connection):
    return [row[0] for row in connection.execute("select name from person order by age")]
# %%
by_age = names(db)
# %%
with db:
    db.execute("update person set age = age + 1")
# %%
cursor = db.execute("select age from person order by age")
# %%
youngest = next(cursor)[0]
# %%
others = [age for (age,) in cursor]
# %%
@contextmanager
def temporary(connection, name):
    connection.execute("insert into person values (?, 0)", (name,))
    try:
        yield names(connection)
    finally:
        connection.execute("delete from person where name = ?", (name,))
# %%
with temporary(db, "zoe") as inside:
    during = list(inside)
del inside
# %%
try:
    db.execute("insert into nowhere values (1)")
except sqlite3.OperationalError as error:
    message = str(error)
# %%
final = names(db)
# %%
db.close()
del db, cursor

# %%
import sqlite3
base = "some_%d.db" % 1
first = sqlite3.connect(base)
# %%
first.execute("create table if not exists t (x)")
first.execute("delete from t")
first.commit()
# %%
second = sqlite3.connect(base)
# %%
none_yet = second.execute("select count(*) from t").fetchone()[0]
# %%
first.execute("insert into t values (1)")
first.commit()
# %%
one_row = second.execute("select count(*) from t").fetchone()[0]
# %%
first.close()
second.close()
del first, second, base
