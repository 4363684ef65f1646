# %% plain
import csv
import json
from pathlib import Path
# %%
folder = Path("made-by-notebook")
folder.mkdir(exist_ok=True)
# %%
rows = [{"id": i, "square": i * i} for i in range(5)]
with open(folder / "rows.csv", "w", newline="") as f:
    writer = csv.DictWriter(f, fieldnames=["id", "square"])
    writer.writeheader()
    writer.writerows(rows)
# %%
with open(folder / "rows.csv") as f:
    back = list(csv.DictReader(f))
# %%
(folder / "sum.json").write_text(json.dumps({"sum": sum(int(r["square"]) for r in back)}))
# %%
total = json.loads((folder / "sum.json").read_text())["sum"]
# %%
name = "rows.csv"
lines = !wc -l < made-by-notebook/{name}
n_lines = int(lines[0])
# %%
for path in sorted(folder.iterdir()):
    path.unlink()
left = list(folder.iterdir())
