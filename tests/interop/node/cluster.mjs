// A client for clusters, pointed at one server: its arguments are the package, the address, a key and a payload.
// Prints what it reads of what it wrote, or why it does not.

const [name, address, key, payload] = process.argv.slice(2);
const [host, port] = address.split(":");
const library = await import(name);

const clients = {
  ioredis: async () => {
    const client = new library.default.Cluster([{ host, port }], { clusterRetryStrategy: () => null });
    const failed = new Promise((_, reject) => client.on("error", (error) => reject(error.lastNodeError ?? error)));
    failed.catch(() => {});
    return { set: () => Promise.race([failed, client.set(key, payload)]), get: () => client.get(key), end: () => client.disconnect() };
  },
  redis: async () => {
    const client = library.createCluster({ rootNodes: [{ url: `redis://${address}` }] });
    client.on("error", () => {});
    await client.connect();
    return { set: () => client.set(key, payload), get: () => client.get(key), end: () => client.close() };
  },
  "@valkey/valkey-glide": async () => {
    library.Logger.setLoggerConfig("off");
    const patience = { requestTimeout: 60_000, advancedConfiguration: { connectionTimeout: 60_000 } };
    const client = await library.GlideClusterClient.createClient({ addresses: [{ host, port: Number(port) }], ...patience });
    return { set: () => client.set(key, payload), get: () => client.get(key), end: () => client.close() };
  },
};

try {
  const client = await clients[name.replace("-6", "")]();
  await client.set();
  console.log(await client.get());
  await client.end();
} catch (error) {
  console.log(`error: ${error.message}`);
}
process.exit(0); // some go on trying
