# %% plain
from dataclasses import dataclass, field
# %%
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
FEE = 0.01
# %%
ann, bob = Account("ann"), Account("bob")
# %%
ann.deposit(100)
# %%
before = repr(ann), repr(bob)
# %%
bob.deposit(50)
accounts = [ann, bob]
# %%
FEE = 0.5
for account in accounts:
    account.deposit(10)
# %%
after = [repr(a) for a in accounts]
# %%
total = sum(a.balance for a in accounts)
richest = max(accounts, key=lambda a: a.balance).owner
