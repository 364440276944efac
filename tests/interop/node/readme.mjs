import Redis from "ioredis";

const client = new Redis(`redis://${process.env.PROXY ?? "127.0.0.1:6380"}`);

await client.set("flask_cache_view//index", JSON.stringify("Hello from Node"), "EX", 60);
console.log(await client.get("flask_cache_view//index"));

await client.quit();
