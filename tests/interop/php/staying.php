<?php
// phpredis on shared connections: several clients, which stay connected until the standard input ends. Its arguments: the
// address of the proxy, and `pooled` for connections that PHP keeps for the next request (pconnect). Prints what was
// written.
declare(strict_types=1);

const SEVERAL = 8;
[$host, $port] = explode(":", $argv[1]);
$pooled = in_array("pooled", $argv, true);
$wrote = [];

function expect(bool $holds, string $what): void
{
    if (!$holds) {
        throw new Exception("not so: $what");
    }
}

$clients = [];
for ($number = 0; $number < SEVERAL; $number++) {
    $client = new Redis();
    $pooled ? $client->pconnect($host, (int) $port, 60, "pooled-$number") : $client->connect($host, (int) $port, 60);
    $client->select(0);
    $client->client("setname", "client-$number");
    $clients[] = $client;
}
for ($round = 0; $round < 20; $round++) {
    foreach ($clients as $number => $client) {
        $key = "flask_cache_php:$number";
        expect($client->setEx($key, 60, "{\"round\":$round}") === true, "it writes");
        expect($client->get($key) === "{\"round\":$round}", "it reads what it wrote");
        $wrote[$key] = "{\"round\":$round}";
    }
}
foreach ($clients as $number => $client) {
    $key = "flask_cache_php:$number";
    $pipe = $client->pipeline();
    for ($value = 0; $value < 100; $value++) {
        $pipe->set("$key:$value", "[$value]", 60)->get("$key:$value");
        $wrote["$key:$value"] = "[$value]";
    }
    $replies = $pipe->exec();
    expect(count($replies) === 200 && $replies[199] === "[99]", "a pipeline");
    expect($client->mget([$key, "none", "$key:7"]) === ['{"round":19}', false, "[7]"], "mget");
    expect($client->del($key) === 1, "del");
    unset($wrote[$key]);
    expect($client->set($key, "{nope") === false, "a bad payload is refused");
    expect(str_contains($client->getLastError(), "flask-cache-proxy: "), "and the error says by whom");
    expect($client->client("getname") === "client-$number", "its name");
}
echo json_encode(["wrote" => $wrote, "seen" => ["tracking" => 0]]), "\n";
stream_get_contents(STDIN);
