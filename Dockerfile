# syntax=docker/dockerfile:1
# Two targets:
#   docker build --target arena    -t canvas-arena .            serves the arena; no torch inside
#   docker build --target training -t canvas-arena-training .   paints, measures and trains

FROM python:3.11-slim-bookworm AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /opt/canvas-arena
COPY pyproject.toml constraints.txt README.md ./
COPY prompts prompts
COPY arena arena
COPY evaluation evaluation
COPY training training
COPY canvas canvas

FROM base AS arena
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --constraint constraints.txt ".[postgres]" \
    && install --directory --owner 10001 --group 10001 /var/lib/arena
ENV PATH=/opt/venv/bin:$PATH HOME=/var/lib/arena ARENA_HOME=/var/lib/arena
USER 10001:10001
VOLUME /var/lib/arena
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
CMD ["canvas", "arena", "serve", "--host", "0.0.0.0", "--port", "7860"]

FROM base AS training
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --constraint constraints.txt ".[training,postgres]" \
    && install --directory --owner 10001 --group 10001 /data
ENV PATH=/opt/venv/bin:$PATH HOME=/data
USER 10001:10001
WORKDIR /data
CMD ["canvas", "--help"]
