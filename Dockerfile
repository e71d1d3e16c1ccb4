# A tag and no digest: one that nobody has looked up would be a guess. Pin it when you build:
# --build-arg BASE=python:3.11-slim@sha256:…, as `docker buildx imagetools inspect python:3.11-slim` shows it.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
# A mirror of PyPI, and the certificate authorities of a proxy on the way to it.
ARG PIP_INDEX_URL=https://pypi.org/simple
ARG CA_PEM=""
ENV PIP_INDEX_URL=${PIP_INDEX_URL} PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN cp /etc/ssl/certs/ca-certificates.crt /tmp/authorities.pem \
    && if [ -n "$CA_PEM" ]; then printf '\n%s\n' "$CA_PEM" >> /tmp/authorities.pem; fi
ENV PIP_CERT=/tmp/authorities.pem
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/gateway-bot \
    && /opt/gateway-bot/bin/pip install --require-hashes --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY handlers handlers
COPY deploy deploy
# The lock holds what runs, not what builds: hatchling is fetched for this stage only.
RUN /opt/gateway-bot/bin/pip install --no-deps . \
    && /opt/gateway-bot/bin/pip uninstall --yes pip setuptools

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="gateway-bot" \
      org.opencontainers.image.description="Slack chat-ops bot for Azure API Management self-hosted gateways on Kubernetes" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN useradd --system --uid 10001 --no-create-home gateway-bot
COPY --from=build /opt/gateway-bot /opt/gateway-bot
COPY --from=build /tmp/authorities.pem /etc/ssl/certs/ca-certificates.crt
USER 10001
ENV PATH=/opt/gateway-bot/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# The bot trusts the certificate authorities of the image: without these, libraries bring their own.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt
# Nothing but /tmp has to be writable.
ENV HOME=/tmp
# glibc gives each thread a cache of what it freed, and sixty threads sixteen heaps: docs/benchmarks.md.
ENV GLIBC_TUNABLES=glibc.malloc.arena_max=2:glibc.malloc.tcache_count=0
EXPOSE 3000 8086 8087
ENTRYPOINT ["gateway-bot"]
CMD ["run", "--config", "/etc/gateway-bot/gateway-bot.yaml"]
