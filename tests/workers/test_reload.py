"""The settings that HUP may change."""

from proxy.config import Admin, Limits, Listener, Rule, Server, Settings, Upstream
from proxy.workers import reload


def test_what_was_bound_or_started_stays_and_the_rest_is_new() -> None:
    running = Settings()
    read = Settings(
        listener=(Listener(bind="127.0.0.1:1"), Listener(bind="127.0.0.1:2")),
        upstream=Upstream(url="redis://elsewhere"),
        admin=Admin(bind="127.0.0.1:3"),
        server=Server(workers=9),
        rule=(Rule(keys="b:*"),),
        limits=Limits(depth=3),
    )
    merged = reload.merged(running, read)
    assert (merged.rule, merged.limits) == (read.rule, read.limits)
    assert (merged.listener, merged.upstream, merged.admin, merged.server) == (
        running.listener,
        running.upstream,
        running.admin,
        running.server,
    )
