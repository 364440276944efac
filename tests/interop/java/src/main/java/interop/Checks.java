package interop;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** What every Java client is asked. Prints what was written and what Flask had cached, for the tests to judge by. */
final class Checks {
    private static final Gson JSON = new GsonBuilder().disableHtmlEscaping().serializeNulls().create();

    private final Driver driver;
    private final String prefix;
    private final Map<String, String> wrote = new ConcurrentHashMap<>();

    private Checks(String name, Driver driver) {
        this.driver = driver;
        prefix = "flask_cache_" + name + ":";
    }

    static void run(String name, Driver driver) throws Exception {
        try (driver) {
            Checks checks = new Checks(name, driver);
            checks.values();
            checks.options();
            checks.several();
            checks.many();
            checks.transactions();
            checks.misses();
            checks.messages();
            checks.print();
        }
    }

    /**
     * Several clients work at once, and stay connected until the standard input ends. The first of them keep what they
     * read until Redis says that it has changed. `tracking`: their connections.
     */
    static void stay(String name, List<? extends Driver> caching, List<? extends Driver> others, int tracking)
            throws Exception {
        List<Checks> all = new ArrayList<>();
        for (Driver driver : others) {
            all.add(new Checks(name + "-" + all.size(), driver));
        }
        atOnce(all.size(), number -> all.get(number).onShared());
        for (Driver driver : caching) {
            Checks checks = new Checks(name + "-" + all.size(), driver);
            checks.changedBy(others.get(0));
            all.add(checks);
        }
        Map<String, String> wrote = new LinkedHashMap<>();
        all.forEach(each -> wrote.putAll(each.wrote));
        System.out.println(JSON.toJson(Map.of("wrote", wrote, "seen", Map.of("tracking", tracking))));
        System.in.transferTo(OutputStream.nullOutputStream());
        all.forEach(each -> each.driver.close());
    }

    private void onShared() throws Exception {
        values();
        options();
        several();
        many();
        misses();
    }

    private void changedBy(Driver another) {
        set("cached", "1");
        equal(driver.cached(prefix + "cached"), "1");
        equal(another.set(prefix + "cached", "2", Driver.How.EXPIRES), "OK");
        while (!driver.cached(prefix + "cached").equals("2")) {
            Thread.onSpinWait();
        }
        wrote.put(prefix + "cached", "2");
    }

    private void values() {
        String product = "{\"name\":\"Tea ☃\",\"price\":2.5,\"tags\":[\"hot\",\"green\"]}";
        set("set", product);
        equal(driver.get(prefix + "set"), product);
        expect(driver.ttl(prefix + "set") > 0, "TTL");
    }

    private void options() {
        String key = prefix + "options";
        equal(driver.set(key, "\"a\"", new Driver.How(false, true, false, false, 0)), null);
        equal(driver.set(key, "\"a\"", new Driver.How(true, false, false, false, 60)), "OK");
        equal(driver.set(key, "\"late\"", new Driver.How(true, false, false, false, 0)), null);
        equal(driver.set(key, "[null]", new Driver.How(false, false, true, true, 0)), "\"a\"");
        equal(driver.getex(key, 600), "[null]");
        expect(driver.ttl(key) > 60, "GETEX sets an expiry");
        equal(driver.getdel(key), "[null]");
    }

    private void several() {
        driver.mset(Map.of(prefix + "mset1", "1", prefix + "mset2", "\"two\"", "raw", "plain"));
        List<String> seen = driver.mget(prefix + "mset1", "none", prefix + "mset2", "raw");
        equal(seen, Arrays.asList("1", null, "\"two\"", "plain"));
        equal(driver.incr(prefix + "mset1"), 2L);
        wrote.putAll(Map.of(prefix + "mset1", "2", prefix + "mset2", "\"two\""));
    }

    private void many() throws Exception {
        Map<String, String> values = new LinkedHashMap<>();
        IntStream.range(0, 200).forEach(number -> values.put(prefix + "many" + number, "{\"n\":" + number + "}"));
        equal(driver.pipeline(values), List.copyOf(values.values()));
        equal(driver.scan(prefix + "many*"), values.keySet());
        wrote.putAll(values);
        atOnce(16, producer -> {
            for (int round = 0; round < 10; round++) {
                String payload = "{\"producer\":" + producer + ",\"round\":" + round + "}";
                set("own" + producer, payload);
                equal(driver.get(prefix + "own" + producer), payload);
            }
        });
    }

    private interface Work {
        void of(int number) throws Exception;
    }

    private static void atOnce(int count, Work work) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(count);
        List<Callable<Void>> all = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            int mine = number;
            all.add(() -> {
                work.of(mine);
                return null;
            });
        }
        for (Future<Void> each : threads.invokeAll(all)) {
            each.get();
        }
        threads.shutdown();
    }

    private void transactions() {
        equal(driver.transaction(prefix + "tx", "[\"a\"]"), List.of("OK", "[\"a\"]", 1L));
        wrote.putAll(Map.of(prefix + "tx", "[\"a\"]", prefix + "tx:count", "1"));
        fails(() -> driver.transaction(prefix + "never", "{nope"), "flask-cache-proxy: |EXECABORT");
        equal(driver.get(prefix + "never"), null);
    }

    private void misses() {
        for (String absent : List.of("none", prefix + "none")) {
            equal(driver.get(absent), null);
            equal(driver.getdel(absent), null);
        }
        fails(() -> driver.set(prefix + "bad", "{nope", Driver.How.PLAIN), "flask-cache-proxy: .*not valid JSON");
        equal(driver.get(prefix + "bad"), null);
    }

    private void messages() throws Exception {
        List<String> texts = IntStream.range(0, 20).mapToObj(String::valueOf).collect(Collectors.toList());
        equal(List.copyOf(driver.messages(prefix + "news", texts)), texts);
    }

    private void print() {
        Map<String, Object> seen = Map.of(
                "from_flask", driver.mget("flask_cache_from_flask", "flask_cache_counter"),
                "view", driver.get("flask_cache_view//index"));
        System.out.println(JSON.toJson(Map.of("wrote", wrote, "seen", seen)));
    }

    private void set(String rest, String payload) {
        equal(driver.set(prefix + rest, payload, Driver.How.EXPIRES), "OK");
        wrote.put(prefix + rest, payload);
    }

    private static void fails(Callable<?> work, String pattern) {
        String said = "nothing";
        try {
            work.call();
        } catch (Exception error) {
            said = String.valueOf(error.getMessage());
        }
        expect(java.util.regex.Pattern.compile(pattern).matcher(said).find(), "it fails with " + pattern + ": " + said);
    }

    static void equal(Object got, Object wanted) {
        expect(Objects.equals(got, wanted), got + " is " + wanted);
    }

    static void expect(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError("not so: " + what);
        }
    }
}
