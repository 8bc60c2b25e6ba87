"""Draws the figures of the concepts page as SVG: python docs/figures/draw.py"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

INK, GREY, LINE = "#1f2430", "#5b6472", "#8a93a3"
IMAGE, BACKBONE, TPP, BFE, TFR, HEAD = "#f4f5f7", "#dfe7f5", "#fde7c8", "#cfe9dc", "#e7dcf4", "#f9d7d4"


class Drawing:
    """Boxes, arrows and texts on a canvas [pixels]."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'font-family="Helvetica, Arial, sans-serif" role="img"><title>{escape(title)}</title>',
            '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
            f'orient="auto-start-reverse"><path d="M0 1 L9 5 L0 9 z" fill="{LINE}"/></marker></defs>',
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        ]

    def box(self, x: float, y: float, w: float, h: float, fill: str, *lines: str, bold: bool = True) -> None:
        self.parts.append(f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="6" fill="{fill}" stroke="{LINE}"/>')
        top = y + h / 2 - 8.5 * (len(lines) - 1) + 5
        for number, line in enumerate(lines):
            first = number == 0
            self.text(x + w / 2, top + 17 * number, line, 14 if first else 12, INK if first else GREY, first and bold)

    def text(
        self,
        x: float,
        y: float,
        line: str,
        size: int = 12,
        fill: str = GREY,
        bold: bool = False,
        anchor: str = "middle",
    ) -> None:
        weight = ' font-weight="bold"' if bold else ""
        self.parts.append(
            f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}" text-anchor="{anchor}"{weight}>{escape(line)}</text>'
        )

    def arrow(self, *points: tuple[float, float], dashed: bool = False) -> None:
        path = " ".join(f"{'M' if number == 0 else 'L'}{x} {y}" for number, (x, y) in enumerate(points))
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self.parts.append(
            f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.6" marker-end="url(#tip)"{dash}/>'
        )

    def save(self, name: str) -> None:
        path = Path(__file__).parent / f"{name}.svg"
        path.write_text("\n".join([*self.parts, "</svg>", ""]), encoding="utf-8")


def network() -> None:
    """The whole network: backbone, TPP, three stages of BFE and TFR, heads."""
    d = Drawing(1060, 400, "BridgeNet: backbone, TPP, three stages of BFE and TFR, heads")
    d.box(20, 165, 90, 56, IMAGE, "image", "H×W")
    d.box(150, 60, 120, 270, BACKBONE, "backbone", "ViT, InternImage,", "any timm model")
    d.arrow((110, 193), (148, 193))
    d.box(340, 250, 150, 80, TPP, "TPP", "task pattern", "propagation")
    d.arrow((270, 290), (338, 290))
    d.text(304, 282, "coarsest")
    stages = [(540, "stage 0", "width C"), (675, "stage 1", "C/2"), (810, "stage 2", "C/4")]
    for number, (x, title, width) in enumerate(stages):
        d.text(x + 55, 40, title, 14, INK, True)
        d.text(x + 55, 58, f"{width}, size ×{2**number}")
        d.box(x, 80, 110, 60, BFE, "BFE", "bridge feature")
        d.box(x, 250, 110, 80, TFR, "TFR", "d blocks", "per task")
        d.arrow((x + 40, 140), (x + 40, 248))
        d.arrow((x + 70, 250), (x + 70, 142))
        d.text(x + 34, 200, "bridge", anchor="end")
        d.text(x + 76, 200, "maps", anchor="start")
        if number:
            d.arrow((x - 25, 110), (x - 2, 110))
            d.arrow((x - 25, 290), (x - 2, 290))
    d.arrow((270, 95), (538, 95))
    d.text(405, 88, "backbone maps, coarse to fine (one per stage)")
    d.arrow((490, 290), (538, 290))
    d.text(514, 282, "tasks")
    d.arrow((415, 330), (415, 358))
    d.text(415, 374, "intermediate logits (supervised)")
    for x, *_ in stages:
        d.arrow((x + 55, 330), (x + 55, 362), (1005, 362), (1005, 332)) if x == 540 else d.arrow(
            (x + 55, 330), (x + 55, 360)
        )
    d.box(965, 250, 80, 80, HEAD, "heads", "sum, conv,", "logits")
    d.save("network")


def tpp() -> None:
    """Task pattern propagation, two of the tasks."""
    d = Drawing(980, 330, "TPP: every task's attention pattern, fused from all tasks' patterns")
    d.box(8, 130, 112, 56, BACKBONE, "coarsest map", "(h, w)")
    for y, task in ((40, "semseg"), (210, "depth")):
        d.arrow((120, 158), (160, y + 30))
        d.box(162, y, 130, 60, TPP, f"P {task}", "two 3×3 conv")
        d.arrow((292, y + 30), (330, y + 30))
        d.box(332, y, 130, 60, TPP, "scores q·kᵀ", "2 heads, at half size")
        d.arrow((462, y + 30), (508, 158))
        d.arrow((612, 158), (650, y + 30))
        d.box(652, y, 130, 60, TPP, "softmax · v", "+ P, MLP, + P")
        d.arrow((782, y + 30), (810, y + 30))
        d.box(812, y, 158, 60, HEAD, f"intermediate {task}", "1×1 conv, supervised")
        d.arrow((227, y + 60), (227, y + 82), (887, y + 82), (887, y + 62), dashed=True)
    d.box(510, 118, 102, 80, BFE, "fusion", "1×1 conv over all", "tasks' score maps")
    d.text(490, 318, "dashed: [P ‖ intermediate logits] → 1×1 conv → what enters stage 0", 13)
    d.save("tpp")


def bfe() -> None:
    """Bridge feature extractor."""
    d = Drawing(980, 250, "BFE: the backbone's map asks all tasks' maps; the answer is the bridge feature")
    d.box(20, 40, 130, 56, BACKBONE, "backbone map", "lateral, 1×1, BN")
    d.box(20, 160, 130, 60, TFR, "all tasks' maps", "LN, pooled")
    d.box(220, 40, 130, 56, BFE, "query", "from a stride-2 conv")
    d.box(220, 160, 130, 60, BFE, "keys, values", "tokens of all tasks")
    d.arrow((150, 68), (218, 68))
    d.arrow((150, 190), (218, 190))
    d.box(430, 95, 130, 66, BFE, "attention", "2 heads, one softmax", "over all tasks")
    d.arrow((350, 68), (428, 115))
    d.arrow((350, 190), (428, 143))
    d.box(630, 95, 130, 66, BFE, "+ backbone map", "MLP, + bridge", "of the stage before")
    d.arrow((560, 128), (628, 128))
    d.arrow((85, 40), (85, 16), (695, 16), (695, 93), dashed=True)
    d.box(830, 100, 120, 56, HEAD, "bridge feature", "one for all tasks")
    d.arrow((760, 128), (828, 128))
    d.save("bfe")


def tfr() -> None:
    """Task feature refiner: one block of one task."""
    d = Drawing(980, 200, "TFR: each task refines itself from the bridge feature alone")
    d.box(20, 30, 120, 56, TFR, "task's map x", "width D")
    d.box(20, 120, 120, 56, BFE, "bridge feature", "resized")
    d.box(215, 70, 110, 60, TFR, "join", "2D channels")
    d.arrow((140, 58), (213, 90))
    d.arrow((140, 148), (213, 112))
    for x, first, second in (
        (375, "1×1 conv", "BN, GELU: D/2"),
        (535, "depthwise 3×3", "dilation 1, 2, 5, …"),
        (695, "1×1 conv", "to D"),
    ):
        d.box(x, 70, 120, 60, TFR, first, second)
        d.arrow((x - 50 if x == 375 else x - 40, 100), (x - 2, 100))
    d.box(870, 70, 80, 60, HEAD, "x + …", "drop path")
    d.arrow((815, 100), (868, 100))
    d.arrow((80, 30), (80, 14), (910, 14), (910, 68), dashed=True)
    d.text(
        600,
        165,
        "d such blocks per task and stage (18 on NYUD-v2, 12 on PASCAL-Context): cost grows linearly with the tasks",
        13,
    )
    d.save("tfr")


if __name__ == "__main__":
    for figure in (network, tpp, bfe, tfr):
        figure()
