# syntax=docker/dockerfile:1
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/gateway-bot \
    && /opt/gateway-bot/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY handlers handlers
COPY deploy deploy
# The lock holds what runs, not what builds: hatchling is fetched for this stage only.
RUN /opt/gateway-bot/bin/pip install --no-cache-dir --no-deps . \
    && /opt/gateway-bot/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home gateway-bot
COPY --from=build /opt/gateway-bot /opt/gateway-bot
USER 10001
ENV PATH=/opt/gateway-bot/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# glibc gives each thread a cache of what it freed, and sixty threads sixteen heaps: docs/benchmarks.md.
ENV GLIBC_TUNABLES=glibc.malloc.arena_max=2:glibc.malloc.tcache_count=0
EXPOSE 3000 8086
ENTRYPOINT ["gateway-bot"]
CMD ["run", "--config", "/etc/gateway-bot/gateway-bot.yaml"]
