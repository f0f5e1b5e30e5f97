# Three images from one file:
#   docker build --target cpu .     the built-in voice and eSpeak NG
#   docker build --target cuda .    Qwen3-TTS on an NVIDIA GPU
#   docker build --target app .     the Home Assistant app; the last stage, because a local build by Home Assistant names none
# Python's packages are those of constraints.txt. The base is a tag, which gets Debian's security updates; for the
# same bytes every time name its digest (docker buildx imagetools inspect python:3.13-slim-bookworm):
#   docker build --build-arg PYTHON=python:3.13-slim-bookworm@sha256:… .
ARG PYTHON=python:3.13-slim-bookworm

# -- what is installed; pip stays behind with these stages ----------------------------------------------------

FROM ${PYTHON} AS build-cpu
WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE LICENCES.md ./
COPY wyoming_qwen3tts wyoming_qwen3tts
# C sources and tests come with some packages (65 MB of 279); nothing runs them.
RUN python -m venv --without-pip /opt/speech \
 && python -m pip --python /opt/speech install --no-cache-dir --constraint constraints.txt ".[http,redis,remote]" \
 && find /opt/speech -type f \( -name '*.c' -o -name '*.h' \) -delete \
 && find /opt/speech -type d -name tests -prune -exec rm -r {} +

FROM ${PYTHON} AS build-cuda
WORKDIR /src
COPY constraints.txt ./
# torch first and pinned, so that nothing else chooses its build; it changes least and is the largest layer.
RUN python -m venv --without-pip /opt/speech \
 && python -m pip --python /opt/speech install --no-cache-dir --constraint constraints.txt torch
COPY requirements-qwen.txt pyproject.toml README.md LICENSE LICENCES.md ./
COPY wyoming_qwen3tts wyoming_qwen3tts
# qwen-tts comes alone: most of what it asks for belongs to its demo.
RUN python -m pip --python /opt/speech install --no-cache-dir --constraint constraints.txt \
    --requirement requirements-qwen.txt ".[http,redis,remote]" \
 && python -m pip --python /opt/speech install --no-cache-dir --constraint constraints.txt --no-deps qwen-tts

# -- what runs ------------------------------------------------------------------------------------------------

FROM ${PYTHON} AS base
RUN apt-get update \
 && apt-get install --yes --no-install-recommends espeak-ng tini \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --no-create-home --home-dir /data --uid 10200 speech \
 && install --directory --owner=speech /data /run/speech
COPY docker/entrypoint.py /opt/entrypoint.py
# The service writes only to /data and /tmp: the root may be read-only, with a tmpfs at /tmp.
ENV PATH=/opt/speech/bin:$PATH
ENV HOME=/data XDG_CACHE_HOME=/data/cache HF_HOME=/data/huggingface
ENV WYOMING_QWEN3TTS_DATA_DIR=/data
# A client outside of the container needs a key: WYOMING_QWEN3TTS_API_KEYS.
ENV WYOMING_QWEN3TTS_HTTP_PORT=8080 WYOMING_QWEN3TTS_HTTP_HOST=0.0.0.0
VOLUME /data
EXPOSE 10200 8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["wyoming-qwen3tts", "health"]
# Ten seconds pass between docker's SIGTERM and its SIGKILL; --stop-timeout is 8 by default.
ENTRYPOINT ["tini", "--", "python3", "/opt/entrypoint.py"]
# speech
USER 10200

FROM base AS cuda
COPY --from=build-cuda /opt/speech /opt/speech
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
ENV PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True

FROM base AS cpu
COPY --from=build-cpu /opt/speech /opt/speech

FROM cpu AS app
ARG BUILD_VERSION=0.1.0
ARG BUILD_ARCH=amd64
LABEL io.hass.type="app" io.hass.version="${BUILD_VERSION}" io.hass.arch="${BUILD_ARCH}"
# Only root may read the /data/options.json of the Supervisor: the entry point changes its owner, then drops root.
# hadolint ignore=DL3002
USER 0
