"""Draw the picture of the front page and the README: Grace Hopper as a sum of 5, 20 and 80 outer products.

    python book/_literate/front_picture.py

Run it when `truncated_svd` or the style of the figures has changed; the result is committed.
"""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from chapters import ROOT
from matplotlib.cbook import get_sample_data

from lowrank.svd import truncated_svd

RANKS = (5, 20, 80)


def draw(path):
    with get_sample_data("grace_hopper.jpg") as file:
        picture = plt.imread(file).mean(axis=2)
    plt.style.use(ROOT / "book" / "figures.mplstyle")
    fig, axes = plt.subplots(1, len(RANKS) + 1, figsize=(9.6, 3.3), layout="compressed")
    for ax, rank in zip(axes, RANKS):
        approx = truncated_svd(picture, rank)
        error = np.linalg.norm(picture - approx.reconstruct()) / np.linalg.norm(picture)
        share = rank * (sum(picture.shape) + 1) / picture.size
        ax.imshow(approx.reconstruct(), vmin=0, vmax=255)
        ax.set_title(f"rank {rank}: {share:.0%} of the numbers,\nerror {error:.1%}")
    axes[-1].imshow(picture, vmin=0, vmax=255)
    axes[-1].set_title(f"the original,\nrank {min(picture.shape)}")
    for ax in axes:
        ax.set_axis_off()
    fig.savefig(path, dpi=165, pil_kwargs={"quality": 70, "method": 6})


if __name__ == "__main__":
    draw(ROOT / "book" / "_static" / "front.webp")
