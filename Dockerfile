# Stages: "cpu" is for Docker (docker build --target cpu), "app", the last, is what Home Assistant builds.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY wyoming_qwen3tts wyoming_qwen3tts
RUN python -m venv /opt/speech \
 && /opt/speech/bin/pip install --no-cache-dir --constraint constraints.txt ".[http,redis,remote]"

FROM python:3.13-slim-bookworm AS cpu
RUN apt-get update \
 && apt-get install --yes --no-install-recommends espeak-ng tini \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --no-create-home --uid 10200 speech \
 && install --directory --owner=speech /data
COPY --from=build /opt/speech /opt/speech
ENV PATH=/opt/speech/bin:$PATH
ENV WYOMING_QWEN3TTS_DATA_DIR=/data
# Whoever comes from outside of the container needs a key: WYOMING_QWEN3TTS_API_KEYS.
ENV WYOMING_QWEN3TTS_HTTP_PORT=8080 WYOMING_QWEN3TTS_HTTP_HOST=0.0.0.0
VOLUME /data
USER speech
EXPOSE 10200 8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["wyoming-qwen3tts", "health"]
# Ten seconds pass between docker's SIGTERM and its SIGKILL; --stop-timeout is 8 by default.
ENTRYPOINT ["tini", "--", "wyoming-qwen3tts"]

FROM cpu AS app
ARG BUILD_VERSION=0.1.0
ARG BUILD_ARCH=amd64
LABEL io.hass.type="app" io.hass.version="${BUILD_VERSION}" io.hass.arch="${BUILD_ARCH}"
# Only root can read /data/options.json.
USER root
