# callcore in one image, for two containers: "asterisk" and "serve" (deploy/compose.yaml), or "run" for all in one.
# The same set-up as scripts/run on a bare Debian 12, done at build time; scripts/image builds without Docker's engine.
# State and secrets live in the volume; the Asterisk that was fetched stays in the image (CALLCORE_TOOLCHAIN).
ARG BASE=debian:bookworm-slim
FROM ${BASE}

WORKDIR /opt/callcore
COPY . .
ENV CALLCORE_HOME=/var/lib/callcore \
    CALLCORE_TOOLCHAIN=/opt/callcore/toolchain/toolchain.json \
    LANG=C.UTF-8 \
    PATH=/opt/callcore/.venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# /mnt/network: how the machine that builds reaches its package servers, mounted by scripts/image for this step alone.
# The archives are of no use once the tree stands; without compiled files every start would compile the project anew.
RUN if [ -e /mnt/network ]; then . /mnt/network; fi \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 python3-venv ca-certificates tzdata \
    && useradd --system --home-dir /var/lib/callcore --shell /usr/sbin/nologin callcore \
    && install --directory --owner callcore --group callcore --mode 0700 /var/lib/callcore \
    && mkdir toolchain \
    && PIP_NO_CACHE_DIR=1 CALLCORE_HOME=/tmp/setup CALLCORE_CACHE=/tmp/cache scripts/prepare \
    && .venv/bin/python -m compileall -q src migrations \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /tmp/setup /tmp/cache

USER callcore
VOLUME /var/lib/callcore
STOPSIGNAL SIGINT
ENTRYPOINT ["/opt/callcore/.venv/bin/callcore"]
CMD ["run"]
