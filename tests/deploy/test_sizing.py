"""The sizing model counts right, from the costs of the results."""

import json
import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.files import DEPLOY, ROOT

SIZING = DEPLOY / "sizing"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
EXAMPLES = re.findall(r"^\$ deploy/sizing (.*)\n((?:.+\n)*?)```$", OPERATIONS, re.MULTILINE)


def loaded() -> Any:
    """The program, as a module."""
    loader = SourceFileLoader("sizing", str(SIZING))
    spec = spec_from_loader("sizing", loader)
    assert spec is not None
    made = module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    loader.exec_module(made)
    sys.dont_write_bytecode = before
    return made


sizing = loaded()


def row(command: str, contender: str, proxy: float, redis: float, pipeline: int = 1) -> dict[str, Any]:
    case = f"125 B json {command} P={pipeline} c=50"
    return {"case": case, "contender": contender, "cpu_us": [proxy, 1, 99], "redis_cpu_us": [redis, 1, 99]}


OLD = {
    "throughput": [row("SET", "native, managed", 40, 10), row("GET", "native, managed", 20, 12)],
    "memory": [{"contender": "native engine", "idle_mib": [40, 1, 99], "used_kib": [8, 1, 99]}],
    "cluster": [
        {"case": "SET P=1", "engine": "native", "ratio": [2, 1, 9], "redis_ratio": [1.1, 1, 9]},
        {"case": "GET P=1", "engine": "native", "ratio": [1, 1, 9], "redis_ratio": [1.5, 1, 9]},
    ],
}
"""Results from before there were shared connections."""
NEW = {
    **OLD,
    "throughput": [*OLD["throughput"], row("SET", "native, shared", 20, 2), row("GET", "native, shared", 10, 2)],
    "memory": [*OLD["memory"], {"contender": "native engine, shared", "idle_mib": [50, 1, 99], "used_kib": [4, 1, 99]}],
    "cluster": [
        {**of_case, "ratio_of_shared": [ratio, 1, 9], "redis_ratio_of_shared": [0.5, 1, 9]}
        for of_case, ratio in zip(OLD["cluster"], (1.5, 0.5), strict=True)
    ],
}


ON_CLUSTER = {
    "native, cluster": {"first_kib": 10, "further_kib": 3},
    "native, shared": {"first_kib": 4, "further_kib": 0.5},
}
"""Memory of clients there."""


def written(home: Path, results: dict[str, list[dict[str, Any]]]) -> Path:
    for name, rows in results.items():
        more = {"memory": ON_CLUSTER} if name == "cluster" and results is NEW else {}
        (home / f"{name}.json").write_text(json.dumps({"rows": rows, **more}))
    return home


def counted(home: Path, results: dict[str, list[dict[str, Any]]], **options: Any) -> tuple[Any, Any]:
    """The needs in both ways."""
    fleet = sizing.Fleet(**{"clients": 1024, "commands": 10_000, "gets": 50, **options})
    found: tuple[Any, Any] = sizing.needs(fleet, sizing.Measured(written(home, results)))
    return found


def shown(*arguments: str, results: Path | None = None) -> tuple[int, str]:
    """The exit status and the output of the program, in isolation: it imports nothing but the standard library."""
    chosen = [] if results is None else ["--results", str(results)]
    command = [sys.executable, "-I", "-S", str(SIZING), *arguments, *chosen]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


class TestNeeds:
    def test_both_ways_of_one_proxy(self, tmp_path: Path) -> None:
        per_client, shared = counted(tmp_path, NEW)
        assert per_client == (1024, 40, 8, 0.3, 0.11)
        assert shared == (4, 40, 4, 0.15, 0.02)

    @pytest.mark.parametrize(
        ("options", "connections"),
        [
            ({"trunks": 1, "protocols": 1}, 1),
            ({"trunks": 3}, 6),
            ({"proxies": 10, "workers": 4, "trunks": 2, "protocols": 1}, 80),
            ({"pinned": 25}, 256 + 4),
            ({"pinned": 0.1}, 2 + 4),
            ({"pinned": 100}, 1024 + 4),
        ],
        ids=str,
    )
    def test_shared_connections_and_those_of_pinned_clients(
        self, options: dict[str, Any], connections: int, tmp_path: Path
    ) -> None:
        per_client, shared = counted(tmp_path, NEW, **options)
        assert (per_client.connections, shared.connections) == (1024, connections)

    def test_pinned_clients_cost_as_much_as_without_sharing(self, tmp_path: Path) -> None:
        per_client, shared = counted(tmp_path, NEW, pinned=100)
        assert shared[1:] == per_client[1:]
        _, shared = counted(tmp_path, NEW, pinned=50)
        assert shared[1:] == pytest.approx((40, 6, 0.225, 0.065))

    @pytest.mark.parametrize(("proxies", "workers", "processes"), [(1, 1, 1), (1, 2, 3), (3, 1, 3), (3, 4, 15)])
    def test_several_workers_have_a_parent(self, proxies: int, workers: int, processes: int, tmp_path: Path) -> None:
        for way in counted(tmp_path, NEW, proxies=proxies, workers=workers):
            assert way.idle_mib == 40 * processes

    @pytest.mark.parametrize(("gets", "cores"), [(0, 0.4), (100, 0.2), (90, 0.22)])
    def test_gets_and_sets_have_their_own_costs(self, gets: int, cores: float, tmp_path: Path) -> None:
        per_client, shared = counted(tmp_path, NEW, gets=gets)
        assert per_client.proxy_cores == pytest.approx(cores)
        assert shared.proxy_cores == pytest.approx(cores / 2)

    def test_on_a_cluster_commands_cost_as_many_times_as_much_as_was_measured(self, tmp_path: Path) -> None:
        per_client, shared = counted(tmp_path, NEW, nodes=3)
        assert per_client == pytest.approx((3072, 40, 16, (40 * 2 + 20 * 1) / 200, (10 * 1.1 + 12 * 1.5) / 200))
        assert shared == pytest.approx((12, 40, 5, (40 * 1.5 + 20 * 0.5) / 200, (10 * 0.5 + 12 * 0.5) / 200))

    @pytest.mark.parametrize(
        ("options", "connections"),
        [
            ({"nodes": 3}, 2 * 3 * 2),
            ({"nodes": 3, "trunks": 1, "protocols": 1}, 3),
            ({"nodes": 5, "proxies": 10, "workers": 4, "trunks": 2, "protocols": 1}, 10 * 4 * 5 * 2),
            ({"nodes": 3, "pinned": 25}, 2 * 3 * 2 + 256 * 3),
            ({"nodes": 3, "pinned": 100}, 2 * 3 * 2 + 1024 * 3),
        ],
        ids=str,
    )
    def test_on_a_cluster_shared_connections_and_pinned_clients_count_for_each_node(
        self, options: dict[str, Any], connections: int, tmp_path: Path
    ) -> None:
        per_client, shared = counted(tmp_path, NEW, **options)
        assert (per_client.connections, shared.connections) == (1024 * options["nodes"], connections)

    def test_a_client_takes_more_memory_with_each_node(self, tmp_path: Path) -> None:
        for nodes, per_client, shared in ((2, 13, 4.5), (5, 22, 6)):
            found = counted(tmp_path, NEW, nodes=nodes)
            assert [way.clients_mib for way in found] == [per_client, shared]

    def test_nothing_is_guessed_that_was_not_measured(self, tmp_path: Path) -> None:
        _, shared = counted(tmp_path, OLD)
        assert shared == (4, 40, None, None, None)
        per_client, shared = counted(tmp_path, OLD, nodes=3)
        assert (per_client, shared) == (pytest.approx((3072, 40, None, 0.5, 0.145)), (12, 40, None, None, None))
        per_client, shared = counted(tmp_path, NEW, pipeline=16)
        assert per_client[3:] == shared[3:] == (None, None)


class TestProgram:
    def test_it_prints_both_ways(self, tmp_path: Path) -> None:
        arguments = ("--clients", "2048", "--commands", "20000", "--proxies", "4", "--workers", "2", "--pinned", "5")
        assert shown(*arguments, "--gets", "50", results=written(tmp_path, NEW)) == (
            0,
            "                                  one per client            shared\n"
            "connections at Redis, at most              2,048               135\n"
            "memory of all proxies, idle              480 MiB           480 MiB\n"
            "memory of all clients, idle             16.0 MiB           8.4 MiB\n"
            "CPU of all proxies                    0.60 cores        0.32 cores\n"
            "  of each worker                              8%                4%\n"
            "CPU of Redis                          0.22 cores        0.05 cores\n",
        )

    def test_it_prints_both_ways_on_a_cluster(self, tmp_path: Path) -> None:
        arguments = ("--clients", "100", "--commands", "1e4", "--nodes", "4", "--pinned", "5", "--gets", "50")
        assert shown(*arguments, results=written(tmp_path, NEW)) == (
            0,
            "                                  one per client            shared\n"
            "connections at Redis, at most                400                36\n"
            "  of each node                               100                 9\n"
            "memory of all proxies, idle               40 MiB            40 MiB\n"
            "memory of all clients, idle              1.9 MiB           0.6 MiB\n"
            "CPU of all proxies                    0.50 cores        0.36 cores\n"
            "  of each worker                             50%               36%\n"
            "CPU of Redis                          0.14 cores        0.06 cores\n"
            "  of each node                                4%                1%\n",
        )

    @pytest.mark.parametrize(
        ("options", "remark"),
        [
            ({"commands": 100_000}, "A worker should not be busier than 70%: take 5 or 3 workers in all."),
            ({"commands": 100_000}, "Redis serves with one thread, which should not be busier than 70% either."),
            ({"clients": 4}, "Shared connections save none at Redis here: there are too few clients for so many."),
            (
                {"clients": 4, "nodes": 3},
                "Shared connections save none at Redis here: there are too few clients for so many.",
            ),
        ],
        ids=["workers", "Redis", "few", "few on a cluster"],
    )
    def test_it_warns(self, options: dict[str, Any], remark: str, tmp_path: Path) -> None:
        fleet = sizing.Fleet(**{"clients": 1024, "commands": 10_000, "gets": 50, **options})
        ways = sizing.needs(fleet, sizing.Measured(written(tmp_path, NEW)))
        assert remark in sizing.remarks(fleet, ways)

    def test_it_has_nothing_to_say_where_all_is_well(self, tmp_path: Path) -> None:
        fleet = sizing.Fleet(clients=1024, commands=10_000)
        assert sizing.remarks(fleet, sizing.needs(fleet, sizing.Measured(written(tmp_path, NEW)))) == []

    @pytest.mark.parametrize("engine", ["native", "python"])
    @pytest.mark.parametrize("pipeline", ["1", "16", "64"])
    @pytest.mark.parametrize("nodes", ["1", "3"])
    def test_the_committed_results_have_its_costs(self, engine: str, pipeline: str, nodes: str) -> None:
        options = ("--engine", engine, "--pipeline", pipeline, "--nodes", nodes)
        status, told = shown("--clients", "500", "--commands", "9000", *options)
        assert status == 0, told
        cpu = next(line for line in told.splitlines() if line.startswith("CPU of all proxies"))
        assert ("cores" in cpu) is (engine == "native" or nodes == "1")

    def test_results_that_are_missing_are_told(self, tmp_path: Path) -> None:
        status, told = shown("--clients", "1", "--commands", "1", results=tmp_path)
        assert status == 1
        assert told.startswith("There are no results: ")

    @pytest.mark.parametrize(
        ("option", "value", "reason"),
        [
            ("--clients", "0", "'0' is no number of at least 1"),
            ("--workers", "many", "'many' is no number of at least 1"),
            ("--commands", "nan", "'nan' is no number of at least 0"),
            ("--pinned", "101", "'101' is no number from 0 to 100"),
            ("--trunks", "65", "'65' is no number from 1 to 64"),
            ("--pipeline", "2", "invalid choice"),
        ],
    )
    def test_what_makes_no_sense_is_told(self, option: str, value: str, reason: str) -> None:
        status, told = shown("--clients", "1", "--commands", "1", option, value)
        assert status == 2
        assert reason in told


@pytest.mark.parametrize(("arguments", "output"), EXAMPLES)
def test_the_documents_show_what_it_prints(arguments: str, output: str) -> None:
    assert shown(*arguments.split()) == (0, output)


def test_the_documents_show_three_fleets_and_one_of_them_on_a_cluster() -> None:
    assert ["--nodes" in arguments for arguments, _ in EXAMPLES] == [False, False, True]
