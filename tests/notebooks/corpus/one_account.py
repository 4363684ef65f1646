# %% plain
from dataclasses import dataclass, field
# %%
FEE = 0.01
@dataclass
class Account:
    owner: str
    balance: float = 0.0
    log: list = field(default_factory=list)
    def deposit(self, amount):
        self.balance += amount * (1 - FEE)
        self.log.append(("in", amount))
    def __repr__(self):
        return f"{self.owner}:{self.balance:.2f}:{len(self.log)}"
# %%
ann = Account("ann")
# %%
ann.deposit(100)
# %%
before = repr(ann)
# %%
FEE = 0.5
ann.deposit(10)
# %%
after = repr(ann)
# %%
total = sum(amount for _, amount in ann.log)
owner = ann.owner.upper()
