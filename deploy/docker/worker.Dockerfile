# A worker with vLLM, in its CPU build. Built from the repository's root; on a GPU machine, lock vllm of the same version.
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY deploy/locks/setup.txt deploy/locks/worker.txt deploy/locks/build.txt deploy/locks/
RUN python -m venv /tools \
    && /tools/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r deploy/locks/setup.txt \
    && python -m venv --without-pip .venv \
    && /tools/bin/uv pip sync --no-cache --python .venv/bin/python --require-hashes deploy/locks/worker.txt deploy/locks/build.txt
COPY . .
RUN /tools/bin/uv pip install --no-cache --python .venv/bin/python --no-deps --no-build-isolation -e .

FROM python:3.11-slim-bookworm
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_OFFLINE=1 \
    HOME=/tmp \
    TRADING_LLM_STATE_DIR=/state \
    TRADING_LLM_HTTP_HOST=0.0.0.0 \
    TRADING_LLM_HTTP_PORT=8081
# vLLM's CPU build is linked against libnuma, and no wheel brings it. The distribution's one version of it is pinned by the base.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends libnuma1 && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 trading && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp trading \
    && install -d -o 10001 -g 10001 /state
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
VOLUME /state
HEALTHCHECK --interval=5s --timeout=4s --start-period=600s --retries=6 CMD ["python", "deploy/docker/ready.py"]
CMD ["python", "-m", "workers"]
