"""Voices of other machines: vllm-omni servers, and Wyoming servers."""
