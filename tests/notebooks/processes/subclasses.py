# %%
class Base:
    registry = []
    def __init_subclass__(cls, **kw):
        super().__init_subclass__(**kw)
        Base.registry.append(cls.__name__)
# %% task
class A(Base):
    pass
# %% task
class B(A):
    pass
# %% task
names = list(Base.registry)
b = B()
# %% task
ok = isinstance(b, A), isinstance(b, Base), list(Base.registry)
# %%
del b
