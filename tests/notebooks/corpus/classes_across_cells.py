# %% plain
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field, replace
# %%
@dataclass
class Item:
    name: str
    price: float
    tags: list[str] = field(default_factory=list)
    @property
    def gross(self):
        return round(self.price * (1 + VAT), 2)
VAT = 0.08
# %%
@dataclass
class Discounted(Item):
    rebate: float = 0.1
    @property
    def gross(self):
        return round(super().gross * (1 - self.rebate), 2)
# %%
book = Item("book", 20.0)
lamp = Discounted("lamp", 50.0, rebate=0.2)
# %%
prices = [book.gross, lamp.gross]
# %%
book.tags.append("paper")
# %%
sale = replace(book, price=10.0)
# %%
sale.tags.append("sale")
# %%
VAT = 0.2
# %%
dearer = [item.gross for item in (book, lamp, sale)]
# %%
class Shape(ABC):
    made = 0
    def __init__(self):
        Shape.made += 1
    @abstractmethod
    def area(self): ...
    def __lt__(self, other):
        return self.area() < other.area()
# %%
class Square(Shape):
    def __init__(self, side):
        super().__init__()
        self.side = side
    def area(self):
        return self.side ** 2
# %%
shapes = [Square(3), Square(1), Square(2)]
# %%
made_then = Shape.made
# %%
shapes.sort()
# %%
biggest = max(shapes).side
shapes.append(Square(9))
# %%
made_after = Shape.made
areas = [shape.area() for shape in shapes]
# %%
records = [asdict(item) for item in (book, lamp)]
