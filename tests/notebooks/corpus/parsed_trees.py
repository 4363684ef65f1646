# %% plain
import xml.etree.ElementTree as ET

from bs4 import BeautifulSoup
# %%
items = "".join(f"<li class='k{i}'><a href='#{i}'>n{i}</a></li>" for i in range(200))
soup = BeautifulSoup(f"<ul>{items}</ul>", "html.parser")
# %%
before = [link["href"] for link in soup.find_all("a")][:3]
# %%
for link in soup.find_all("a"):
    link["href"] = "https://example.org/" + link["href"]
# %%
links = [link["href"] for link in soup.select("a")][-3:]
# %%
for item in soup.select("li"):
    if item.get_text().endswith("7"):
        item.decompose()
# %%
count = len(soup.find_all("li"))
# %%
first = soup.find("li")
# %%
first.string = "the first"
# %%
text = soup.get_text()[:20]
# %%
root = ET.fromstring("<shop><book><price>2</price></book><book><price>9</price></book></shop>")
# %%
before_sale = sum(float(price.text) for price in root.iter("price"))
# %%
for price in root.iter("price"):
    price.text = str(float(price.text) / 2)
# %%
sale = sum(float(price.text) for price in root.findall(".//price"))
# %%
for book in root.findall("book"):
    tag = ET.SubElement(book, "sold")
    tag.text = "yes"
# %%
written = ET.tostring(root, encoding="unicode")
# %%
soup = link = item = first = root = price = book = tag = None
