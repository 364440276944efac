package interop;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import redis.clients.jedis.AbstractTransaction;
import redis.clients.jedis.ConnectionPoolConfig;
import redis.clients.jedis.DefaultJedisClientConfig;
import redis.clients.jedis.HostAndPort;
import redis.clients.jedis.JedisPubSub;
import redis.clients.jedis.Pipeline;
import redis.clients.jedis.RedisClient;
import redis.clients.jedis.RedisProtocol;
import redis.clients.jedis.Response;
import redis.clients.jedis.ScanIteration;
import redis.clients.jedis.csc.Cache;
import redis.clients.jedis.csc.DefaultCache;
import redis.clients.jedis.params.GetExParams;
import redis.clients.jedis.params.SetParams;

/**
 * An ordinary Jedis producer. Its arguments: the address of the proxy, the protocol, and `stay` or `stay-caching` for
 * several that stay.
 */
final class WithJedis implements Driver {
    private static final int POOL = 8;

    private final RedisClient client;

    private WithJedis(String address, String protocol, ConnectionPoolConfig pool, Cache cache) {
        RedisProtocol version = protocol.equals("3") ? RedisProtocol.RESP3 : RedisProtocol.RESP2;
        DefaultJedisClientConfig.Builder config = DefaultJedisClientConfig.builder().protocol(version);
        client = RedisClient.builder()
                .hostAndPort(HostAndPort.from(address))
                .clientConfig(config.clientName("jedis").database(0).build())
                .poolConfig(pool)
                .cache(cache)
                .build();
    }

    public static void main(String[] arguments) throws Exception {
        String address = arguments[0], protocol = arguments[1], name = "jedis-" + protocol;
        if (arguments.length < 3) {
            Checks.run(name, new WithJedis(address, protocol, new ConnectionPoolConfig(), null));
        } else {
            int caching = arguments[2].equals("stay-caching") ? 1 : 0;
            Checks.stay(
                    name, several(address, protocol, caching, true), several(address, protocol, 3, false), POOL * caching);
        }
    }

    /** Clients whose pools are filled. */
    private static List<WithJedis> several(String address, String protocol, int count, boolean caching) throws Exception {
        List<WithJedis> all = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            ConnectionPoolConfig pool = new ConnectionPoolConfig();
            pool.setMinIdle(POOL);
            all.add(new WithJedis(address, protocol, pool, caching ? new AnyServer() : null));
            all.get(number).client.getPool().preparePool();
        }
        return all;
    }

    /** A cache of what is read. Jedis asks for Redis 7.4, for the sake of other servers. */
    private static final class AnyServer extends DefaultCache {
        AnyServer() {
            super(1000);
        }

        @Override
        public boolean compatibilityMode() {
            return true;
        }
    }

    private static SetParams words(How how) {
        SetParams words = SetParams.setParams();
        if (how.nx()) {
            words.nx();
        }
        if (how.xx()) {
            words.xx();
        }
        if (how.keepTtl()) {
            words.keepTtl();
        }
        return how.seconds() > 0 ? words.ex(how.seconds()) : words;
    }

    @Override
    public String set(String key, String value, How how) {
        return how.get() ? client.setGet(key, value, words(how)) : client.set(key, value, words(how));
    }

    @Override
    public String get(String key) {
        return client.get(key);
    }

    @Override
    public String cached(String key) {
        return client.get(key);
    }

    @Override
    public String getex(String key, int seconds) {
        return client.getEx(key, GetExParams.getExParams().ex(seconds));
    }

    @Override
    public String getdel(String key) {
        return client.getDel(key);
    }

    @Override
    public long ttl(String key) {
        return client.ttl(key);
    }

    @Override
    public long incr(String key) {
        return client.incr(key);
    }

    @Override
    public void mset(Map<String, String> values) {
        List<String> words = new ArrayList<>();
        values.forEach((key, value) -> words.addAll(List.of(key, value)));
        client.mset(words.toArray(String[]::new));
    }

    @Override
    public List<String> mget(String... keys) {
        return client.mget(keys);
    }

    @Override
    public Set<String> scan(String pattern) {
        ScanIteration iteration = client.scanIteration(50, pattern);
        return new HashSet<>(iteration.collect(new ArrayList<>()));
    }

    @Override
    public List<String> pipeline(Map<String, String> values) {
        List<Response<String>> replies = new ArrayList<>();
        try (Pipeline pipeline = client.pipelined()) {
            values.forEach((key, value) -> {
                pipeline.set(key, value);
                replies.add(pipeline.get(key));
            });
            pipeline.sync();
        }
        return replies.stream().map(Response::get).toList();
    }

    @Override
    public List<Object> transaction(String key, String value) {
        try (AbstractTransaction transaction = client.multi()) {
            transaction.set(key, value, SetParams.setParams().ex(60));
            transaction.get(key);
            transaction.incr(key + ":count");
            return transaction.exec();
        }
    }

    @Override
    public Collection<String> messages(String channel, List<String> texts) throws Exception {
        Collection<String> heard = new LinkedBlockingQueue<>();
        CountDownLatch listening = new CountDownLatch(1);
        JedisPubSub listener = new JedisPubSub() {
            @Override
            public void onSubscribe(String name, int count) {
                listening.countDown();
            }

            @Override
            public void onMessage(String name, String text) {
                heard.add(text);
                if (heard.size() == texts.size()) {
                    unsubscribe();
                }
            }
        };
        Thread thread = new Thread(() -> client.subscribe(listener, channel));
        thread.start();
        listening.await();
        texts.forEach(text -> client.publish(channel, text));
        thread.join();
        return heard;
    }

    @Override
    public void close() {
        client.close();
    }
}
