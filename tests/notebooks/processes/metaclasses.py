# %%
class Meta(type):
    seen = []
    def __new__(mcs, name, bases, ns):
        cls = super().__new__(mcs, name, bases, ns)
        Meta.seen.append(name)
        return cls
    def __init__(cls, name, bases, ns):
        super().__init__(name, bases, ns)
        cls.n = len(Meta.seen)
    def label(cls):
        return f"{cls.__name__}-{cls.n}"
class Root(metaclass=Meta):
    pass
# %% task
class Leaf(Root):
    x: int = 1
# %% task
leaf = Leaf()
leaf.x = 7
name = Leaf.label()
# %% task
class Last(Leaf):
    pass
r = list(Meta.seen), Last.label(), Root.n, leaf.x
# %% task
again = list(Meta.seen), isinstance(Last(), Root), type(Last) is Meta, issubclass(Last, Leaf)
# %%
del leaf
