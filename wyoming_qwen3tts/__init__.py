"""Wyoming text-to-speech service around Qwen3-TTS."""

import os

__version__ = "0.1.0"

# From 1.29 on, onnxruntime looks up a telemetry host and writes a device id below the home directory when
# it is imported (microsoft/onnxruntime#27379; the second name is from #29843); huggingface_hub reports what
# it loads. Both libraries read these variables once, at their import.
for _name in ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED", "HF_HUB_DISABLE_TELEMETRY"):
    os.environ[_name] = "1"
