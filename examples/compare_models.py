"""Ask every model the same question, through the gateway that LLM_ENDPOINT names, and set their answers side by side."""

from __future__ import annotations

from trading_llm import ModelRouter, ModelType

REQUEST = {"context": {"price": 45000, "volatility": 0.9, "sentiment": 0.7}, "bot_id": "comparison", "symbol": "BTCUSDT"}


def main() -> None:
    """Print one line a model."""
    router = ModelRouter()
    for model in ModelType:
        decision = router.route_to_model(REQUEST, model)
        print(f"{model.value:9} {decision.status:25} {decision.action:5} {decision.confidence}")


if __name__ == "__main__":
    main()
