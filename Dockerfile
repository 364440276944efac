# The proxy as an image with the native engine. It is non-root, writes nothing, and needs no shell. `deploy/try-image` tests
# it.
#
#   docker build -t flask-cache-proxy .
#   docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/flask-cache-proxy .
#
# BASE is any Debian or Ubuntu with python3 (3.11 or newer), its venv module and CA certificates. The default is pinned by
# its tag, to the version of Python, so Debian's fixes still reach it. If you want a digest, choose and renew it yourself:
#
#   docker buildx imagetools inspect docker.io/library/python:3.13.15-slim-trixie   # shows today's digest
#   docker build --build-arg BASE=docker.io/library/python:3.13.15-slim-trixie@sha256:... -t flask-cache-proxy .
ARG BASE=docker.io/library/python:3.13.15-slim-trixie

FROM ${BASE} AS builder
# The distribution's own compiler builds the engine, so its patches come with the base's. On Debian 12 use
# CARGO_PACKAGE=cargo-web, the newer of its two. The other asks GitHub for the index of crates.
ARG CARGO_PACKAGE=cargo
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends "${CARGO_PACKAGE}" \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# A wheel may leave the engine out if the build fails (the log has the reason). An image must not.
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
ENV PATH="/opt/flask-cache-proxy/bin:${PATH}" \
    PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
EXPOSE 6380 9380
# Unhealthy while Redis cannot be reached. Where an unhealthy container is killed (Swarm), add "--live".
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 \
    CMD ["/opt/flask-cache-proxy/bin/flask-cache-proxy", "--default", "admin.bind=127.0.0.1:9380", "healthcheck"]
# The image changes this default by a flag, so that a mounted file or a variable can override it. A client of the admin
# port can drain the proxy. Set admin.bind to 0.0.0.0:9380 if others need it.
ENTRYPOINT ["/opt/flask-cache-proxy/bin/flask-cache-proxy", "--default", "admin.bind=127.0.0.1:9380"]
CMD ["serve"]
