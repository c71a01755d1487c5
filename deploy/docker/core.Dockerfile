# The router, the gateway, the command line, and workers on the scripted engine. Built from the repository's root.
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY deploy/locks/setup.txt deploy/locks/core.txt deploy/locks/build.txt deploy/locks/
RUN python -m venv /tools \
    && /tools/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r deploy/locks/setup.txt \
    && python -m venv --without-pip .venv \
    && /tools/bin/uv pip sync --no-cache --python .venv/bin/python --require-hashes deploy/locks/core.txt deploy/locks/build.txt
COPY . .
RUN /tools/bin/uv pip install --no-cache --python .venv/bin/python --no-deps --no-build-isolation -e . \
    && .venv/bin/python -m compileall -q -j 0 .

FROM python:3.11-slim-bookworm
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TRADING_LLM_STATE_DIR=/state \
    TRADING_LLM_HTTP_HOST=0.0.0.0 \
    TRADING_LLM_HTTP_PORT=8081 \
    TRADING_LLM_GATEWAY_HOST=0.0.0.0
RUN groupadd --gid 10001 trading && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp trading \
    && install -d -o 10001 -g 10001 /state
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
VOLUME /state
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s --retries=6 CMD ["python", "deploy/docker/ready.py"]
CMD ["trading-llm", "--help"]
