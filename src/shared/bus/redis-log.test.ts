import { describeBus } from "../../../test/support/bus-contract.ts";
import { startRedisServer } from "../../../test/support/redis-server.ts";

describeBus("bus on Redis", async () => {
  const server = await startRedisServer();
  return { store: server.url, stop: server.stop };
});

describeBus("bus on Redis Cluster", async () => {
  const server = await startRedisServer({ cluster: true });
  return { store: `redis+cluster://127.0.0.1:${server.port}`, stop: server.stop };
});
