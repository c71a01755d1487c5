"""The four tiny models: the real architectures, small, and how their weights are written the way the real ones are."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    DeepseekV2Config,
    DeepseekV2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

HIDDEN, LAYERS, HEADS, FORWARD = 128, 3, 4, 256
POSITIONS = 2_048
ADAPTER_RANK, ADAPTER_ALPHA = 8, 16
ADAPTED = ("q_proj", "k_proj", "v_proj")
# The real model's yarn: the CPU kernels compute DeepSeek-V2 wrongly without it.
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10_000.0,
    "factor": 40.0,
    "mscale": 0.707,
    "mscale_all_dim": 0.707,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "original_max_position_embeddings": 4_096,
}


class Adapted(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """A linear layer with a low-rank correction beside it."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.lora_A = nn.Parameter(torch.randn(ADAPTER_RANK, base.in_features) / math.sqrt(base.in_features))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, ADAPTER_RANK))

    def forward(self, values: Tensor) -> Tensor:
        correction = values @ self.lora_A.T @ self.lora_B.T
        return self.base(values) + correction * (ADAPTER_ALPHA / ADAPTER_RANK)


def build(name: str, vocabulary: int, end: int) -> PreTrainedModel:
    """An untrained model of the named catalogue entry's architecture."""
    common: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "intermediate_size": FORWARD,
        "max_position_embeddings": POSITIONS,
        "bos_token_id": None,
        "eos_token_id": end,
        "pad_token_id": end,
        "tie_word_embeddings": False,
    }
    if name == "qwen":
        return Qwen2ForCausalLM(Qwen2Config(**common))
    if name == "phi3":
        return Phi3ForCausalLM(Phi3Config(**common))
    if name == "fingpt":
        return _with_adapter(LlamaForCausalLM(LlamaConfig(**common)))
    return DeepseekV2ForCausalLM(_deepseek(common))


def tensors(model: PreTrainedModel) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The model's weights and its adapter's (empty where it has none), in half precision, under their published names."""
    weights: dict[str, Tensor] = {}
    adapter: dict[str, Tensor] = {}
    for key, value in model.state_dict().items():
        if ".lora_" in key:
            adapter[f"base_model.model.{key}.weight"] = _half(value)
        elif ".experts.gate_up_proj" in key:
            weights |= _experts(key.removesuffix("gate_up_proj"), value, ("gate_proj", "up_proj"))
        elif ".experts.down_proj" in key:
            weights |= _experts(key.removesuffix("down_proj"), value, ("down_proj",))
        else:
            weights[key.replace(".base.", ".")] = _half(value)
    return weights, adapter


def adapter_config(base: str) -> dict[str, object]:
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": ADAPTER_RANK,
        "bias": "none",
        "lora_alpha": ADAPTER_ALPHA,
        "lora_dropout": 0.0,
        "target_modules": list(ADAPTED),
        "inference_mode": True,
    }


def _deepseek(common: dict[str, Any]) -> DeepseekV2Config:
    # Two layers of four heads: three of two heads, as large, could hardly learn to look words up.
    own = {"num_hidden_layers": 2, "max_position_embeddings": 163_840}  # 40 x 4,096, as yarn says
    config = DeepseekV2Config(
        **(common | own),
        initializer_range=0.03,
        kv_lora_rank=512,
        q_lora_rank=None,
        qk_nope_head_dim=128,
        qk_rope_head_dim=64,
        v_head_dim=128,
        first_k_dense_replace=1,
        n_routed_experts=4,
        num_experts_per_tok=2,
        n_shared_experts=1,
        moe_intermediate_size=128,
        n_group=1,
        topk_group=1,
        topk_method="greedy",
        norm_topk_prob=False,
        rope_parameters=dict(YARN),
    )
    config._experts_implementation = "eager"
    return config


def _with_adapter(model: LlamaForCausalLM) -> LlamaForCausalLM:
    for layer in model.model.layers:
        for projection in ADAPTED:
            setattr(layer.self_attn, projection, Adapted(getattr(layer.self_attn, projection)))
    return model


def _experts(prefix: str, fused: Tensor, names: tuple[str, ...]) -> dict[str, Tensor]:
    parts = [fused.chunk(len(names), dim=1)[i] for i in range(len(names))]
    return {
        f"{prefix}{expert}.{name}.weight": _half(part[expert])
        for name, part in zip(names, parts, strict=True)
        for expert in range(fused.shape[0])
    }


def _half(value: Tensor) -> Tensor:
    return value.detach().to(torch.float16).contiguous().clone()
