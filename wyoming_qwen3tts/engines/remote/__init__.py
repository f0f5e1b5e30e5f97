"""The remote engine: voices of vllm-omni and Wyoming servers on other machines."""
