import * as v from "valibot";
import { parseRedisUrl, type RedisUrlError } from "../store/redis-url.ts";
import type { ConfigFields } from "./config.ts";
import { text } from "./parsers.ts";

/** Where a service keeps what must outlive it. */
export interface StoreSettings {
  readonly dataDir: string;
  readonly redisUrl: string;
}

/** A URL that parseRedisUrl reads, or nothing. */
const redisUrl: v.GenericSchema<string, string> = v.pipe(
  v.string(),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed || dataset.value === "") return;
    try {
      parseRedisUrl(dataset.value);
    } catch (error) {
      addIssue({ message: (error as RedisUrlError).message });
    }
  }),
);

/** Where each comes from. */
export const storeFields: ConfigFields<StoreSettings> = {
  dataDir: {
    env: "DATA_DIR",
    doc: "Directory of the embedded store, when REDIS_URL is not set.",
    schema: text,
    fallback: "./.gatehouse",
  },
  redisUrl: {
    env: "REDIS_URL",
    doc: "Keeps everything in Redis: `redis://`, `rediss://`, `redis+cluster://host,host` or `redis+sentinel://host,host/primary`. Unset: the embedded store.",
    schema: redisUrl,
    fallback: "",
    sensitive: true,
  },
};
