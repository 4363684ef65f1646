# %% plain
class Pricer:
    def price(self):
        return rate * 10


pricer = Pricer()
table = {"price": lambda amount: amount * rate}


class Bus:
    def __init__(self):
        self.handlers = []

    def on(self, handler):
        self.handlers.append(handler)
        return handler

    def emit(self):
        return [handler() for handler in self.handlers]


bus = Bus()


@bus.on
def handler():
    return rate * 100
# %%
rate = 1
# %%
first = pricer.price(), table["price"](10), bus.emit()
# %%
rate = 5
own = pricer.price(), [pricer.price() for _ in range(2)]
# %%
rate = 2
# %%
second = pricer.price(), table["price"](10), bus.emit()
# %%
rate = 3
# %%
count = 0


class Steps:
    def go(self):
        global count
        count += 1
        return count


steps = Steps()
# %%
one = steps.go()
# %%
count = 10
eleven = steps.go()
twice = count * 2
# %%
after = count
# %%
twelve = steps.go()
# %%
last = count
