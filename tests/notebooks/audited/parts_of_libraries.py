# %%
from bs4 import BeautifulSoup
# %%
soup = BeautifulSoup("<h1>Old</h1><p>one</p>", "html.parser")
# %%
title = soup.find("h1")
# %%
title.string = "New"
# %%
html = str(soup)
# %%
del soup, title
# %%
from email.message import EmailMessage
# %%
msg = EmailMessage()
msg.set_content("body")
msg.add_attachment("a,b\n", filename="x.csv")
# %%
first = next(msg.iter_attachments())
# %%
first.add_header("X-Tag", "t")
# %%
tagged = "X-Tag" in msg.as_string()
# %%
del msg, first
# %%
import xml.etree.ElementTree as ET
# %%
root = ET.fromstring("<shop><item name='pen'/></shop>")
# %%
first = root.find("item")
# %%
first.set("sale", "yes")
# %%
xml_now = ET.tostring(root, encoding="unicode")
# %%
del root, first
# %%
import xml.etree.ElementTree as ET
# %%
root = ET.fromstring("<shop><price>2</price><price>9</price></shop>")
# %%
prices = root.findall("price")
# %%
for p in prices:
    p.text = str(int(p.text) + 1)
# %%
xml_now = ET.tostring(root, encoding="unicode")
# %%
del root, prices, p
# %%
import xml.etree.ElementTree as ET
# %%
root = ET.Element("shop")
# %%
ET.SubElement(root, "item", name="pad")
# %%
n = len(root)
# %%
del root
# %%
import networkx as nx
# %%
G = nx.path_graph(4)
# %%
nx.relabel_nodes(G, {1: "one"}, copy=False)
# %%
listed = sorted(map(str, G.nodes))
# %%
from PIL import Image
# %%
image = Image.new("RGB", (100, 100))
# %%
thumb = image.copy()
# %%
thumb.thumbnail((20, 20))
# %%
thumb_size = thumb.size
# %%
del image, thumb
# %%
from PIL import Image, ImageDraw
# %%
img = Image.new("L", (10, 10), 0)
# %%
ImageDraw.floodfill(img, (3, 3), 10)
# %%
filled = img.getpixel((3, 3))
# %%
del img
# %%
import io, shutil
# %%
dst = io.BytesIO()
# %%
shutil.copyfileobj(io.BytesIO(b"copied"), dst)
# %%
copied = dst.getvalue()
# %%
del dst
# %%
import logging
# %%
class ListHandler(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []
    def emit(self, record):
        self.lines.append(self.format(record))
# %%
handler = ListHandler()
logger = logging.getLogger("shop.orders")
# %%
logger.setLevel(logging.INFO)
logger.addHandler(handler)
# %%
logger.info("order %s", 1)
# %%
first = list(handler.lines)
# %%
logger.warning("low stock")
# %%
second = list(handler.lines)
# %%
logger.removeHandler(handler)
del logger, handler
# %%
import numpy as np
# %%
a = np.arange(6.0)
# %%
flipped = np.flip(a)
# %%
left, right = np.hsplit(a, 2)
# %%
windows = np.lib.stride_tricks.sliding_window_view(a, 3)
# %%
a[0] = 100
# %%
last = float(flipped[-1])
# %%
first_window = windows[0].tolist()
# %%
right[0] = 1000
# %%
total = a.sum()
# %%
import numpy as np
# %%
a = np.arange(200.0)
a[7] = np.nan
# %%
np.nan_to_num(a, copy=False)
# %%
clean = float(a.sum())
# %%
np.add(a, 1, a)
# %%
total = float(a.sum())
# %%
import struct, array
# %%
packet = bytearray(200)
other = array.array("B", bytes(10))
# %%
struct.pack_into(">H", packet, 100, 513)
# %%
byte = packet[101]
# %%
struct.pack_into("B", other, 3, 9)
# %%
b2 = other[3]
# %%
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
# %%
scale = StandardScaler()
pipe = Pipeline([("scale", scale)])
# %%
params = pipe.get_params()
# %%
params["scale"].with_mean = False
# %%
centred = scale.with_mean
# %%
del scale, pipe, params
