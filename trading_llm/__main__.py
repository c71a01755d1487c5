"""`python -m trading_llm`: the command line where its entry point is not installed."""

from trading_llm.cli import app

app(prog_name="trading-llm")
