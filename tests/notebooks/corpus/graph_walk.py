# %% plain
import networkx as nx
# %%
G = nx.Graph()
# %%
G.add_edges_from([("a", "b"), ("b", "c"), ("c", "d")])
# %%
n_then = G.number_of_edges()
# %%
G.add_edge("a", "d", weight=4)
nx.set_node_attributes(G, 1, "size")
# %%
path = nx.shortest_path(G, "b", "d")
# %%
G.remove_node("c")
# %%
path_after = nx.shortest_path(G, "b", "d")
# %%
H = G
H.nodes["a"]["size"] = 10
# %%
sizes = dict(G.nodes(data="size"))
# %%
D = nx.DiGraph()
for u, v in [(1, 2), (2, 3), (1, 3)]:
    D.add_edge(u, v)
# %%
order = list(nx.topological_sort(D))
# %%
D.add_edge(3, 1)
# %%
is_dag = nx.is_directed_acyclic_graph(D)
# %%
def prune(graph, node):
    graph.remove_node(node)
    return graph.number_of_nodes()
# %%
left = prune(D, 2)
# %%
edges = sorted(D.edges)
# %%
sub = G.subgraph(["a", "b"])
# %%
G.add_edge("a", "b", weight=9)
# %%
weights = [d.get("weight") for _, _, d in sub.edges(data=True)]
