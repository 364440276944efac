// An ordinary node-redis producer in RESP2 and RESP3, against the proxy whose address is its first argument.

import { createClient } from "redis";
import { run } from "./checks.mjs";

for (const RESP of [2, 3]) {
  const client = createClient({ url: `redis://${process.argv[2]}`, RESP });
  await client.connect();
  const seen = await run(`node-redis-${RESP}`, {
    set: (key, value, seconds) => client.set(key, value, { EX: seconds }),
    get: (key) => client.get(key),
    setnx: async (key, value) => (await client.setNX(key, value)) === 1,
    mset: (values) => client.mSet(values),
    mget: (keys) => client.mGet(keys),
    transaction: (key, value) => client.multi().set(key, value, { EX: 60 }).get(key).incr(`${key}:count`).exec(),
    firstMessage: async (channel, text) => {
      const listener = client.duplicate();
      await listener.connect();
      const body = await new Promise((resolve, reject) => {
        listener.subscribe(channel, resolve).then(() => client.publish(channel, text), reject);
      });
      await listener.close();
      return body;
    },
  });
  if (RESP === 3) console.log(JSON.stringify(seen));
  await client.close();
}
