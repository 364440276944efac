# The proxy as an image: non-root, nothing to write, no shell needed, the native engine in it. `deploy/try-image` proves it.
#
#   docker build -t flask-cache-proxy .
#   docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/flask-cache-proxy .
#
# BASE is any Debian or Ubuntu with python3 (3.11 or newer), its venv module and CA certificates. The default is pinned by
# its tag, to the version of Python: Debian's fixes still reach it. A digest is for whoever builds to choose, and to renew:
#
#   docker buildx imagetools inspect docker.io/library/python:3.13.15-slim-trixie   # says which it has today
#   docker build --build-arg BASE=docker.io/library/python:3.13.15-slim-trixie@sha256:... -t flask-cache-proxy .
ARG BASE=docker.io/library/python:3.13.15-slim-trixie

FROM ${BASE} AS builder
# The engine is compiled by the distribution's own compiler, whose patches come with the base's. On Debian 12 say
# CARGO_PACKAGE=cargo-web, the newer one of its two: the other asks GitHub what crates there are.
ARG CARGO_PACKAGE=cargo
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends "${CARGO_PACKAGE}" \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# The wheel leaves the engine out where it cannot be built (the log says why); an image must not.
RUN python3 -m venv /build \
    && /build/bin/pip wheel --verbose --no-cache-dir --wheel-dir /wheels --constraint deploy/constraints.txt . \
    && python3 -m venv --without-pip /opt/flask-cache-proxy \
    && /build/bin/pip --python /opt/flask-cache-proxy/bin/python3 install --no-index --find-links /wheels flask-cache-proxy \
    && if [ -d proxy/native ]; then /opt/flask-cache-proxy/bin/python3 -P -c 'import proxy._native'; fi

FROM ${BASE}
ARG BASE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="flask-cache-proxy" \
      org.opencontainers.image.description="Lets Go, Node and any other language read and write Flask's cache" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
COPY --from=builder /opt/flask-cache-proxy /opt/flask-cache-proxy
# Whoever reaches the admin port can drain the proxy: say 0.0.0.0:9380 where that is for others. (In the environment: a
# file cannot overrule it.)
ENV PATH="/opt/flask-cache-proxy/bin:${PATH}" \
    PYTHONDONTWRITEBYTECODE=1 \
    FLASK_CACHE_PROXY_ADMIN_BIND=127.0.0.1:9380
USER 65532:65532
EXPOSE 6380 9380
# Unhealthy while Redis cannot be reached. Where that gets a container killed (Swarm), add "--live".
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 \
    CMD ["/opt/flask-cache-proxy/bin/flask-cache-proxy", "healthcheck"]
ENTRYPOINT ["/opt/flask-cache-proxy/bin/flask-cache-proxy"]
CMD ["serve"]
