package interop;

import io.lettuce.core.RedisURI;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.api.sync.RedisAdvancedClusterCommands;
import redis.clients.jedis.HostAndPort;

/**
 * A client for clusters, pointed at one server: its arguments are the client, the address, a key and a payload. Prints
 * what it reads of what it wrote, or why it does not.
 */
final class Cluster {
    private Cluster() {}

    public static void main(String[] arguments) {
        String got;
        try {
            got = arguments[0].equals("jedis")
                    ? jedis(arguments[1], arguments[2], arguments[3])
                    : lettuce(arguments[1], arguments[2], arguments[3]);
        } catch (Exception error) {
            Throwable first = error;
            while (first.getCause() != null) {
                first = first.getCause();
            }
            got = "error: " + error.getMessage() + ": " + first.getMessage();
        }
        System.out.println(got);
        System.exit(0);
    }

    private static String jedis(String address, String key, String payload) {
        try (var client = redis.clients.jedis.RedisClusterClient.create(HostAndPort.from(address))) {
            client.set(key, payload);
            return client.get(key);
        }
    }

    private static String lettuce(String address, String key, String payload) {
        RedisClusterClient client = RedisClusterClient.create(RedisURI.create("redis://" + address));
        RedisAdvancedClusterCommands<String, String> commands = client.connect().sync();
        commands.set(key, payload);
        return commands.get(key);
    }
}
