# One image for both services and the command: the entry is chosen by the arguments.
#
#   docker build -t gatehouse:0.1.0 .
#   docker run --rm gatehouse:0.1.0 src/policy/main.ts

FROM node:24.21.0-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24.21.0-bookworm-slim
# The package managers are not needed to run, and are most of what there is to attack.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn-* \
      /usr/local/bin/yarn /usr/local/bin/yarnpkg \
  && install -d -o 1000 -g 1000 /data
WORKDIR /app
ENV NODE_ENV=production DATA_DIR=/data
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY gen ./gen
COPY proto ./proto
COPY src ./src
# Types are stripped and modules compiled once, here: without it each start takes longer and each process 30 MiB more. Each
# entry runs for a moment, on data that is thrown away, so that it has loaded everything.
ENV NODE_COMPILE_CACHE=/app/.compile-cache
RUN for entry in src/auth/main.ts src/policy/main.ts src/cli/main.ts; do \
      DATA_DIR=/tmp/warm-up timeout 10 node $entry >/dev/null 2>&1 || true; \
    done \
  && rm -rf /tmp/warm-up && chmod -R a+rX $NODE_COMPILE_CACHE
# glibc keeps what large blocks took, in an arena for each thread: after a few password hashes that is 100 MiB and more.
ENV MALLOC_MMAP_THRESHOLD_=131072 MALLOC_ARENA_MAX=2
USER 1000:1000
EXPOSE 50051 50052 8081 8082
# Half of the heap flags' worth is the young generation: untuned, Node under saturation takes twice the memory for the
# same throughput, and would be killed at the 256 MiB limit of the manifests.
ENTRYPOINT ["node", "--max-semi-space-size=16", "--max-old-space-size=128"]
CMD ["src/auth/main.ts"]
