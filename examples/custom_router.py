"""A router of one's own: TRADING_LLM_ROUTER=examples.custom_router:CustomRouter makes the router process load it.

A bot's `model_preference` still goes first, and chains and limits hold as ever; `route.rule` says who chose.
"""

from __future__ import annotations

from trading_llm import ModelRouter, ModelType, Request


class CustomRouter(ModelRouter):
    """Qwen where the market is wild, DeepSeek elsewhere."""

    def select_model(self, request: Request) -> ModelType:
        """The model for this request; where the context cannot be judged so, the policy's rules choose."""
        if request.context.get("volatility", 0) > 0.8:
            return ModelType.QWEN
        return ModelType.DEEPSEEK
