# callcore in one image: the same setup as scripts/run on a bare Debian 12, done at build time.
# State lives in the volume; the Asterisk that was fetched stays in the image (CALLCORE_TOOLCHAIN).
FROM debian:bookworm-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv ca-certificates tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/callcore --shell /usr/sbin/nologin callcore

WORKDIR /opt/callcore
COPY . .
ENV CALLCORE_HOME=/var/lib/callcore \
    CALLCORE_TOOLCHAIN=/opt/callcore/toolchain/toolchain.json
# The cache of archives is of no use once the tree stands.
RUN mkdir -p toolchain && CALLCORE_HOME=/tmp/setup CALLCORE_CACHE=/tmp/cache scripts/prepare \
    && rm -rf /tmp/setup /tmp/cache

USER callcore
VOLUME /var/lib/callcore
STOPSIGNAL SIGINT
ENTRYPOINT ["/opt/callcore/.venv/bin/callcore", "run"]
