#!/usr/bin/env python3
"""Looks at an HTML page with headless Chromium, as its readers will: by day, by night, on a narrow screen and on paper.

    check_page.py CHROMIUM PAGE FOLDER

Fails when the console says anything, when the page asks for anything else, when a picture is blank or has the wrong background,
when the page is wider than its window, when cells overflow, or when labels of one drawing overlap. Pictures stay in FOLDER.
The page itself has no script; a copy of it gets one that measures.
"""
import json
import pathlib
import re
import struct
import subprocess
import sys
import zlib

PROBE = """
<script>
const box = e => e.getBoundingClientRect();
const found = {overflow: document.documentElement.scrollWidth - innerWidth, cells: [], labels: [], size: 0,
    requests: performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('data:'))};
for (const cell of document.querySelectorAll('td, th, h1, h2, h3, p, li, figure, .machine')) {
    if (cell.scrollWidth > cell.clientWidth + 1 && cell.clientWidth > 0) cells(cell);
}
function cells(cell) { found.cells.push(cell.textContent.slice(0, 60)); }
for (const svg of document.querySelectorAll('svg')) {
    const labels = [...svg.querySelectorAll('text')].map(e => [e.textContent, box(e)]);
    const frame = box(svg);
    for (let i = 0; i < labels.length; ++i) {
        const [said, a] = labels[i];
        if (a.right > frame.right + 14 || a.left < frame.left - 14) found.labels.push(said + ' leaves its drawing');
        for (let j = i + 1; j < labels.length; ++j) {
            const [other, b] = labels[j];
            const apart = a.right <= b.left + .5 || b.right <= a.left + .5 || a.bottom <= b.top + 2 || b.bottom <= a.top + 2;
            if (!apart) found.labels.push(said + ' over ' + other);
        }
    }
}
found.size = document.querySelectorAll('svg').length;
const pre = document.createElement('pre');
pre.id = 'found';
pre.textContent = JSON.stringify(found);
document.body.append(pre);
</script>
"""


def fail(why):
    sys.exit("check_page: " + why)


def read_png(path):
    """Width, height and the rows of an 8-bit RGB or RGBA picture, unfiltered."""
    data = path.read_bytes()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        fail(f"{path} is no PNG")
    at, packed = 8, b""
    while at < len(data):
        (length,), kind = struct.unpack(">I", data[at:at + 4]), data[at + 4:at + 8]
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    if depth != 8 or colours not in (2, 6) or interlaced:
        fail(f"{path} is of a kind of PNG that this does not read")
    step = 3 if colours == 2 else 4
    raw, rows, before = zlib.decompress(packed), [], bytearray(width * step)
    for y in range(height):
        start = y * (width * step + 1)
        kind, row = raw[start], bytearray(raw[start + 1:start + 1 + width * step])
        if kind:
            for x in range(len(row)):
                left = row[x - step] if x >= step else 0
                up = before[x]
                corner = before[x - step] if x >= step else 0
                if kind == 1:
                    guess = left
                elif kind == 2:
                    guess = up
                elif kind == 3:
                    guess = (left + up) // 2
                else:
                    ahead = left + up - corner
                    guess = min((left, up, corner), key=lambda value: abs(ahead - value))
                row[x] = (row[x] + guess) & 255
        rows.append(row)
        before = row
    return width, height, step, rows


def check_picture(path, dark):
    width, height, step, rows = read_png(path)
    # Every third pixel of every third row: enough to know paper from ink.
    pixels = [bytes(row[x:x + 3]) for row in rows[::3] for x in range(0, width * step, 3 * step)]
    colours = {}
    for pixel in pixels:
        colours[pixel] = colours.get(pixel, 0) + 1
    paper = max(colours, key=colours.get)
    ink = 1 - colours[paper] / len(pixels)
    brightness = sum(paper) / 3
    if ink < 0.02 or len(colours) < 20:
        fail(f"{path} is blank: {len(colours)} colours, {100 * ink:.1f} % of it drawn")
    if (brightness < 60) != dark or 60 <= brightness <= 230:
        fail(f"{path} has a background of brightness {brightness:.0f}, wanted a {'dark' if dark else 'light'} one")
    return f"{width} x {height}, {len(colours)} colours, {100 * ink:.0f} % drawn"


class browser:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def run(self, page, *arguments):
        command = [self.program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                   "--no-first-run", "--disable-extensions", "--disable-background-networking", "--enable-logging=stderr",
                   f"--user-data-dir={self.folder / 'profile'}", *arguments, page.resolve().as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=90, errors="replace")
        except subprocess.TimeoutExpired:
            fail("Chromium did not end within 90 s")
        if done.returncode != 0:
            fail(f"Chromium ended with status {done.returncode}: {done.stderr[-400:]}")
        told = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        if told:
            fail("the console says: " + told[0])
        return done.stdout


def main():
    if len(sys.argv) != 4:
        fail(__doc__)
    page, folder = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    look = browser(sys.argv[1], folder)

    for name, arguments in (("light", []), ("dark", ["--blink-settings=preferredColorScheme=0"])):
        picture = folder / f"{name}.png"
        look.run(page, "--window-size=1180,1400", f"--screenshot={picture}", *arguments)
        if not picture.exists():
            fail(f"Chromium drew no {picture}")
        print(f"{name}: {check_picture(picture, name == 'dark')}")

    paper = folder / "page.pdf"
    look.run(page, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    pages = len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes()))
    if not 1 <= pages <= 60:
        fail(f"the print has {pages} pages")
    print(f"print: {pages} pages")

    probe = folder / "probe.html"
    source = page.read_text(encoding="utf-8")
    if "<script" in source:
        fail("the page has a script")
    probe.write_text(source.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    for width in (1180, 800, 520):
        dom = look.run(probe, f"--window-size={width},1400", "--dump-dom")
        told = re.search(r'<pre id="found">(.*?)</pre>', dom, re.S)
        if not told:
            fail(f"the probe said nothing at a width of {width}")
        found = json.loads(told.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
        if found["size"] == 0 or found["overflow"] > 0 or found["cells"] or found["labels"] or found["requests"]:
            fail(f"at a width of {width}: {json.dumps(found)}")
        print(f"{width} wide: {found['size']} drawings, nothing overlaps or overflows")


main()
