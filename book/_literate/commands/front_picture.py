"""Draw the picture of the front page and the README: Grace Hopper as a sum of 5, 20 and 80 outer products.

    python book/_literate front-picture

Run it when `truncated_svd` or the style of the figures has changed; the result is committed.
"""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from matplotlib.cbook import get_sample_data

from lowrank.svd import truncated_svd

from ..source.model import ROOT

RANKS = (5, 20, 80)


def draw(path):
    with get_sample_data("grace_hopper.jpg") as file:
        picture = plt.imread(file).mean(axis=2)
    plt.style.use(ROOT / "book" / "figures.mplstyle")
    shown = {f"rank {rank}": truncated_svd(picture, rank).reconstruct() for rank in RANKS} | {"original": picture}
    fig, axes = plt.subplots(1, len(shown), figsize=(9.6, 3.2), layout="compressed")
    for ax, (title, grey) in zip(axes, shown.items()):
        ax.imshow(grey, vmin=0, vmax=255)
        ax.set_title(title, fontsize=18)                    # 9 px on a phone
        ax.set_axis_off()
    fig.savefig(path, dpi=165, pil_kwargs={"quality": 70, "method": 6})


def main(arguments):
    draw(ROOT / "book" / "_static" / "front.webp")
