# %%
class Account:
    total = 0
    _all = []
    def __init__(self, b):
        self._b = b
        Account._all.append(self)
    def put(self, n):
        self._b += n
        Account.total += n
        return self
    @property
    def b(self):
        return self._b
# %% task
x = Account(1)
# %% task
y = Account(2)
x.put(3)
# %% task
r = (x.b, y.b, Account.total, len(Account._all), [a.b for a in Account._all])
