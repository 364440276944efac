package interop;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** A client; each says in its own words how it does what the checks ask for. */
interface Driver extends AutoCloseable {
    /** The options of SET that the checks use. `seconds`: 0 for none. */
    record How(boolean nx, boolean xx, boolean get, boolean keepTtl, int seconds) {
        static final How PLAIN = new How(false, false, false, false, 0);
        static final How EXPIRES = new How(false, false, false, false, 60);
    }

    String set(String key, String value, How how);

    String get(String key);

    String getex(String key, int seconds);

    String getdel(String key);

    long ttl(String key);

    long incr(String key);

    void mset(Map<String, String> values);

    List<String> mget(String... keys);

    Set<String> scan(String pattern);

    /** GET, through the cache that the client keeps, if it keeps one. */
    default String cached(String key) {
        throw new UnsupportedOperationException();
    }

    /** SET and GET of each in one pipeline; the replies to GET. */
    List<String> pipeline(Map<String, String> values);

    /** MULTI, SET with an expiry, GET, INCR of `key:count`, EXEC; the replies, or the error that aborts it. */
    List<Object> transaction(String key, String value);

    /** What a listener hears of messages that are published once it listens. */
    Collection<String> messages(String channel, List<String> texts) throws Exception;

    @Override
    void close();
}
