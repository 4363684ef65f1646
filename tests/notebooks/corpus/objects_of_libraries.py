# %%
import io
from html.parser import HTMLParser

from PIL import Image, ImageDraw
from rich.console import Console
from sqlalchemy import create_engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool
# %%
image = Image.new("L", (8, 8), 0)
draw = ImageDraw.Draw(image)
# %%
draw.rectangle((0, 0, 3, 3), fill=9)
# %%
drawn = sum(image.getdata())
# %%
for x in range(2):
    draw.point((7, x), fill=5)
done = True
# %%
drawn_more = sum(image.getdata())
# %%
console = Console(record=True, file=io.StringIO())
# %%
console.print("hello")
# %%
console.print("you")
# %%
said = console.export_text()


# %%
class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name == "href"]


links = Links()
# %%
links.feed("<a href=x>")
# %%
one = len(links.found)
# %%
links.feed("<a href=y>")
# %%
two = len(links.found)


# %%
class Base(DeclarativeBase):
    pass


# %%
class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


# %%
engine = create_engine("sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool)
# %%
Base.metadata.create_all(engine)
# %%
with Session(engine) as session:
    session.add(User(name="a"))
    session.commit()
# %%
with Session(engine) as session:
    users = session.query(User).count()
# %%
with engine.begin() as connection:
    connection.execute(text("insert into users (name) values ('b')"))
# %%
with engine.connect() as connection:
    users_now = connection.execute(text("select count(*) from users")).scalar()
# %%
del draw, image, console, links, engine, Base, User, session, connection
