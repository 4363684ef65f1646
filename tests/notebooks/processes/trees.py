# %%
class Node:
    def __init__(self, name):
        self.name, self.links, self.parent = name, [], None
    def add(self, other):
        self.links.append(other)
        other.parent = self
# %% task
root = Node("root")
kid = Node("kid")
root.add(kid)
index = {n.name: n for n in (root, kid)}
# %% task
index["kid"].add(Node("grand"))
# %% task
names = [n.name for n in kid.links]
# %% task
root.links[0].links[0].name = "renamed"
# %% task
r = kid.links[0].name, kid.parent is root, index["root"] is root
# %%
del root, kid, index
