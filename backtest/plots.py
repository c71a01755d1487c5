"""The plots of a report, each as a PNG in a text that a page can hold."""

from __future__ import annotations

import base64
import io
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")

from matplotlib import pyplot

from backtest.trial import DECISIONS, Part

TICKS = 6
COLOURS = {DECISIONS: "#b2182b", "HOLD": "#555555", "buy and hold": "#2166ac"}


def curves(part: Part) -> str:
    """What the decisions, HOLD and buy-and-hold came to, in the band of chance; below it how far each is below its highest."""
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(9, 6), sharex=True, height_ratios=(3, 1), layout="constrained")
    moments = part.curves[DECISIONS].worth.index
    index = range(len(moments))  # by candle: where a market had none, or another one's lie years before, nothing is drawn
    above.fill_between(index, _percent(part.chance.low), _percent(part.chance.high), color="#dddddd", label="chance, 90 of 100")
    for name, curve in part.curves.items():
        worth = curve.worth.to_numpy()
        above.plot(index, _percent(worth), color=COLOURS[name], linewidth=1.4, label=name)
        below.plot(index, 100 * (worth / np.maximum.accumulate(worth) - 1), color=COLOURS[name], linewidth=1)
    above.set_ylabel("gain, % of the capital")
    below.set_ylabel("below the highest, %")
    places = [round(n * (len(moments) - 1) / (TICKS - 1)) for n in range(TICKS)]
    below.set_xticks(places, [f"{moments[each]:%Y-%m-%d\n%H:%M}" for each in places])
    above.legend(loc="best", frameon=False)
    return _png(figure)


def chance(part: Part) -> str:
    """Where the decisions lie among what chance made of the same orders."""
    figure, axes = pyplot.subplots(figsize=(9, 2.6), layout="constrained")
    axes.hist(100 * part.chance.total_returns, bins=24, color="#bbbbbb")
    ours = 100 * part.figures[DECISIONS].total_return
    axes.axvline(ours, color=COLOURS[DECISIONS], label=f"the decisions: {ours:+.2f} %")
    axes.set_xlabel("gain of the same orders at random candles, %")
    axes.set_ylabel("draws")
    axes.legend(loc="best", frameon=False)
    return _png(figure)


def _percent(worth: Any) -> Any:
    return 100 * (worth - 1)


def _png(figure: Any) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    pyplot.close(figure)
    return base64.b64encode(file.getvalue()).decode()
