# The image of every process of Noesis: API, workers, indexer. The command chooses: `serve`, `work`, `index run`, `init`, `doctor`.
# Nothing is fetched when it runs: the embedding model is inside. It runs as user 10001 and writes to /var/lib/noesis and /tmp only.
FROM python:3.11.13-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/noesis \
    && python -m venv /opt/tools \
    && /opt/tools/bin/pip install --no-cache-dir --disable-pip-version-check "uv>=0.13,<0.14"
ENV VIRTUAL_ENV=/opt/noesis UV_LINK_MODE=copy UV_NO_CACHE=1
COPY requirements-torch.txt ./
# The CPU build of torch: a tenth of the size of the default one.
RUN /opt/tools/bin/uv pip install --torch-backend=cpu -r requirements-torch.txt
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY kg ./kg
COPY governance ./governance
COPY coordination ./coordination
COPY agents ./agents
COPY api ./api
COPY verifier ./verifier
RUN /opt/tools/bin/uv pip install --torch-backend=cpu --constraint requirements.lock --constraint requirements-torch.txt \
        ".[embeddings,connectors,llm,servers,telemetry]" \
    && /opt/noesis/bin/python -m compileall -q /opt/noesis/lib

FROM python:3.11.13-slim-bookworm
RUN groupadd --gid 10001 noesis \
    && useradd --uid 10001 --gid noesis --home-dir /var/lib/noesis --create-home --shell /usr/sbin/nologin noesis \
    && mkdir /etc/noesis
COPY --from=build /opt/noesis /opt/noesis
ENV PATH=/opt/noesis/bin:$PATH \
    HOME=/var/lib/noesis \
    NOESIS_HOME=/var/lib/noesis \
    NOESIS_PROJECT=/etc/noesis \
    NOESIS_METRICS_PORT=9400 \
    HF_HUB_OFFLINE=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/noesis
VOLUME /var/lib/noesis
EXPOSE 8400
# Every process answers here, on loopback unless told otherwise.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9400/healthz', timeout=3)"]
ENTRYPOINT ["noesis"]
CMD ["serve"]
