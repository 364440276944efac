"""The pictures of the documents are those that their script draws, and they are legible in dark mode."""

import re
import runpy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
DRAWN: dict[str, Any] = runpy.run_path(str(PICTURES / "draw.py"))["PICTURES"]
SVG = "{http://www.w3.org/2000/svg}"
WIDEST = 8.2
"""Pixels of a character, bold and on average."""

each = pytest.mark.parametrize("name", DRAWN)


@each
def test_the_committed_one_is_what_the_script_draws(name: str) -> None:
    assert (PICTURES / name).read_text() == DRAWN[name]().svg(), "run: python docs/pictures/draw.py"


def test_no_other_lies_there() -> None:
    assert {path.name for path in PICTURES.glob("*.svg")} == {*DRAWN}


@each
def test_every_class_has_a_colour_in_both_modes(name: str) -> None:
    light, dark = (PICTURES / name).read_text().split("@media (prefers-color-scheme: dark)")
    coloured = {"text", ".quiet", ".paper", ".box", ".ours", ".gone", ".line", ".tip"}
    for mode in (light, dark.partition("</style>")[0]):
        assert {
            selector for selector in coloured if re.search(rf"{re.escape(selector)} \{{ (fill|stroke): #", mode)
        } == coloured


@each
def test_text_stays_in_the_picture_and_in_its_box(name: str) -> None:
    root = ET.parse(PICTURES / name).getroot()
    width = int(root.attrib["width"])
    boxes = [
        tuple(int(rect.attrib[side]) for side in ("x", "y", "width", "height"))
        for rect in root.iter(f"{SVG}rect")
        if rect.attrib["class"] != "paper"
    ]
    texts = list(root.iter(f"{SVG}text"))
    assert len(texts) > 5
    for text in texts:
        x, y = int(text.attrib["x"]), int(text.attrib["y"])
        needed = len(text.text or "") * WIDEST
        left = {"start": x, "middle": x - needed / 2, "end": x - needed}[text.attrib["text-anchor"]]
        around = [box for box in boxes if box[0] < x < box[0] + box[2] and box[1] < y < box[1] + box[3]]
        lowest, highest = (around[0][0], around[0][0] + around[0][2]) if around else (0, width)
        assert lowest <= left, text.text
        assert left + needed <= highest, text.text
