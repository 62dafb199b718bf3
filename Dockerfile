# The image: Node.js, the program with the packages it needs, env to start it by its name, and ip, iptables and nft with
# their libraries. Nothing else: no shell, no package manager. docker build . makes it; test/image/run proves every line of this file.

# With its digest, so that a build is repeated with the same base. Any Debian with Node.js 24 and npm will do.
ARG NODE_IMAGE=node:24-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d

FROM ${NODE_IMAGE} AS app
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY src ./src
RUN npm run build && chmod 755 dist/zerohop/main.js && npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${NODE_IMAGE} AS programs
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
       binutils iproute2 iptables libcap2-bin nftables
COPY deploy/image/collect /usr/local/sbin/collect
RUN sh /usr/local/sbin/collect /image

FROM scratch
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="zerohop" \
      org.opencontainers.image.description="Node-local DNS cache for Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=programs /image /
COPY --from=app /app/node_modules /app/node_modules
COPY --from=app /app/dist/zerohop /app/dist/zerohop
COPY package.json LICENSE /app/
ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin \
    NODE_ENV=production \
    HEALTH_URL=http://169.254.20.10:8080/health
# No USER: on the host's network it must be root (docs/decisions/root-without-powers.md says why, and with how little).
# Where it has nothing to set up, it runs as user 65532 as well.
# It is process 1: it takes signals itself, and waits for every program that it starts.
ENTRYPOINT ["/usr/local/bin/node", "--max-semi-space-size=1", "--optimize-for-size", "--v8-pool-size=1", "--no-maglev", "--no-memory-reducer", "--inspect-port=192.0.2.1:1024", "/app/dist/zerohop/main.js"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/node", "-e", "fetch(process.env.HEALTH_URL).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
