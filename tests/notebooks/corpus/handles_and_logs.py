# %% plain
import csv
import io
import logging

# %%
diary = open("diary.txt", "w")

# %%
diary.write("one\n")

# %%
diary.flush()

# %%
so_far = open("diary.txt").read()

# %%
print("two", file=diary)

# %%
diary.close()

# %%
in_the_end = open("diary.txt").read()

# %%
table = open("table.csv", "w", newline="")
rows = csv.writer(table)

# %%
rows.writerow([1, 2])

# %%
rows.writerows([[3, 4]])

# %%
table.close()

# %%
cells = list(csv.reader(open("table.csv")))

# %%
heard = io.StringIO()
handler = logging.StreamHandler(heard)
log = logging.getLogger("handles")
log.setLevel(logging.INFO)
log.propagate = False
log.addHandler(handler)

# %%
log.info("begun")

# %%
log.warning("half of it")

# %%
halfway = heard.getvalue()

# %%
log.info("ended")

# %%
log.removeHandler(handler)

# %%
log.info("nobody hears this")

# %%
everything = heard.getvalue().splitlines()

# %%
word = "told"
told = !echo $word
kept = !echo $NOT_A_NAME kept {nor_this}

# %%
%%writefile module_of_cells.py
VALUE = 41

# %%
import module_of_cells

# %%
value = module_of_cells.VALUE + 1
