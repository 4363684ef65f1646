# %% plain
import queue
from dataclasses import dataclass, field, replace


# %%
@dataclass
class Account:
    owner: str
    balance: float = 0.0
    booked: list = field(default_factory=list)

    def pay(self, amount):
        self.balance += amount
        self.booked.append(amount)
        return self


# %%
ann = Account("ann")
bob = replace(ann, owner="bob", booked=[])

# %%
ann.pay(5).pay(6)

# %%
of_ann = list(ann.booked)

# %%
everyone = [ann, bob]

# %%
for account in everyone:
    account.pay(100)

# %%
paid = (ann.balance, bob.balance)

# %%
by_owner = {account.owner: account for account in everyone}

# %%
[each.pay(-1) for each in by_owner.values()]

# %%
left = [account.balance for account in everyone]

# %%
everyone[0].booked.clear()

# %%
nothing = len(ann.booked)

# %%
jobs = queue.Queue()

# %%
jobs.put("first")
jobs.put("second")

# %%
waiting = jobs.qsize()

# %%
first = jobs.get()

# %%
still_waiting = jobs.qsize()
