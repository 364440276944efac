package interop;

import io.lettuce.core.ClientOptions;
import io.lettuce.core.GetExArgs;
import io.lettuce.core.KeyValue;
import io.lettuce.core.RedisClient;
import io.lettuce.core.RedisFuture;
import io.lettuce.core.RedisURI;
import io.lettuce.core.ScanArgs;
import io.lettuce.core.ScanIterator;
import io.lettuce.core.SetArgs;
import io.lettuce.core.TrackingArgs;
import io.lettuce.core.TransactionResult;
import io.lettuce.core.api.StatefulRedisConnection;
import io.lettuce.core.api.sync.RedisCommands;
import io.lettuce.core.codec.StringCodec;
import io.lettuce.core.masterreplica.MasterReplica;
import io.lettuce.core.protocol.ProtocolVersion;
import io.lettuce.core.pubsub.RedisPubSubAdapter;
import io.lettuce.core.pubsub.StatefulRedisPubSubConnection;
import io.lettuce.core.support.caching.CacheAccessor;
import io.lettuce.core.support.caching.CacheFrontend;
import io.lettuce.core.support.caching.ClientSideCaching;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * An ordinary Lettuce producer. Its arguments: the address of the proxy, the protocol, and `replicas` for one that asks
 * for the other nodes by ROLE, or `stay` or `stay-caching` for several that stay.
 */
final class WithLettuce implements Driver {
    private final RedisClient client;
    private final StatefulRedisConnection<String, String> connection;
    private final RedisCommands<String, String> commands;
    private final CacheFrontend<String, String> cache;

    private WithLettuce(String address, String protocol, boolean replicas, boolean caching) {
        RedisURI uri = RedisURI.create("redis://" + address + "/0?clientName=lettuce");
        client = RedisClient.create(uri);
        client.setOptions(ClientOptions.builder()
                .protocolVersion(protocol.equals("3") ? ProtocolVersion.RESP3 : ProtocolVersion.RESP2)
                .build());
        connection = replicas ? MasterReplica.connect(client, StringCodec.UTF8, uri) : client.connect();
        commands = connection.sync();
        cache = caching ? ClientSideCaching.enable(kept(), connection, TrackingArgs.Builder.enabled()) : null;
    }

    private static CacheAccessor<String, String> kept() {
        return CacheAccessor.forMap(new ConcurrentHashMap<>());
    }

    public static void main(String[] arguments) throws Exception {
        String how = arguments.length > 2 ? arguments[2] : "";
        String name = "lettuce-" + String.join("-", List.of(arguments).subList(1, arguments.length));
        if (how.startsWith("stay")) {
            int caching = how.equals("stay-caching") ? 4 : 0;
            Checks.stay(name, several(arguments, caching, true), several(arguments, 8, false), caching);
        } else {
            Checks.run(name, new WithLettuce(arguments[0], arguments[1], how.equals("replicas"), false));
        }
    }

    private static List<WithLettuce> several(String[] arguments, int count, boolean caching) {
        return IntStream.range(0, count)
                .mapToObj(number -> new WithLettuce(arguments[0], arguments[1], false, caching))
                .toList();
    }

    private static SetArgs words(How how) {
        SetArgs words = new SetArgs();
        if (how.nx()) {
            words.nx();
        }
        if (how.xx()) {
            words.xx();
        }
        if (how.keepTtl()) {
            words.keepttl();
        }
        return how.seconds() > 0 ? words.ex(how.seconds()) : words;
    }

    @Override
    public String set(String key, String value, How how) {
        return how.get() ? commands.setGet(key, value, words(how)) : commands.set(key, value, words(how));
    }

    @Override
    public String get(String key) {
        return commands.get(key);
    }

    @Override
    public String cached(String key) {
        return cache.get(key);
    }

    @Override
    public String getex(String key, int seconds) {
        return commands.getex(key, GetExArgs.Builder.ex(seconds));
    }

    @Override
    public String getdel(String key) {
        return commands.getdel(key);
    }

    @Override
    public long ttl(String key) {
        return commands.ttl(key);
    }

    @Override
    public long incr(String key) {
        return commands.incr(key);
    }

    @Override
    public void mset(Map<String, String> values) {
        commands.mset(values);
    }

    @Override
    public List<String> mget(String... keys) {
        List<String> values = new ArrayList<>();
        for (KeyValue<String, String> each : commands.mget(keys)) {
            values.add(each.getValueOrElse(null));
        }
        return values;
    }

    @Override
    public Set<String> scan(String pattern) {
        return ScanIterator.scan(commands, ScanArgs.Builder.matches(pattern).limit(50)).stream()
                .collect(Collectors.toSet());
    }

    @Override
    public List<String> pipeline(Map<String, String> values) {
        List<RedisFuture<String>> replies = new ArrayList<>();
        values.forEach((key, value) -> {
            connection.async().set(key, value);
            replies.add(connection.async().get(key));
        });
        return replies.stream().map(reply -> reply.toCompletableFuture().join()).toList();
    }

    @Override
    public List<Object> transaction(String key, String value) {
        commands.multi();
        commands.set(key, value, SetArgs.Builder.ex(60));
        commands.get(key);
        commands.incr(key + ":count");
        TransactionResult result = commands.exec();
        return result.stream().toList();
    }

    @Override
    public Collection<String> messages(String channel, List<String> texts) throws Exception {
        Collection<String> heard = new LinkedBlockingQueue<>();
        CountDownLatch all = new CountDownLatch(texts.size());
        try (StatefulRedisPubSubConnection<String, String> listening = client.connectPubSub()) {
            listening.addListener(new RedisPubSubAdapter<>() {
                @Override
                public void message(String name, String text) {
                    heard.add(text);
                    all.countDown();
                }
            });
            listening.sync().subscribe(channel);
            texts.forEach(text -> commands.publish(channel, text));
            all.await();
        }
        return heard;
    }

    @Override
    public void close() {
        connection.close();
        client.shutdown();
    }
}
