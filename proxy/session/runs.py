"""The shortest way for most requests: those that are alike, as pipelines have them, are taken at once.

A run begins with a command whose one key stands first, in a conversation in which nothing under way changes what it
means. With it go those right behind that differ in nothing but the key, of the same rule, and in the value.
`RequestHalf` comes to the same, one by one.
"""

from itertools import repeat

from proxy.codec import CodecError
from proxy.commands import Command
from proxy.policy import Policy, Rule
from proxy.resp import Request, RequestParser, writers
from proxy.session import managed
from proxy.session.allowance import Allowance
from proxy.session.conversation import Conversation
from proxy.session.encoding import Encoder
from proxy.session.managed import Plan
from proxy.session.tally import Tally


class Runs:
    """See the module. What it takes, it writes upstream and owes a reply, and counts."""

    __slots__ = ("_allowance", "_conversation", "_encoder", "_out", "_parser", "_reach", "_tally")

    def __init__(
        self,
        parser: RequestParser,
        encoder: Encoder,
        conversation: Conversation,
        allowance: Allowance,
        tally: Tally,
        out: list[bytes],
    ) -> None:
        """`parser`: where those behind are. `out`: where they go."""
        self._parser = parser
        self._encoder = encoder
        self._conversation = conversation
        self._allowance = allowance
        self._tally = tally
        self._out = out
        self._reach = 0
        """How far is looked for a run that a value may end: twice as far as one went that it has ended."""

    def take(self, policy: Policy, command: Command, request: Request) -> bool | CodecError:
        """Take a run that begins with a request, which has been taken from the parser and counted already.

        False: it needs a closer look, and nothing has been done. An error: its value cannot be encoded.
        """
        if not command.is_straight:
            return False
        args = request.args
        rule = policy.match(args[1]) if len(args) > 1 else None
        if rule is None:
            self._forward(managed.UNMANAGED, policy, command, request, rule)
            return True
        plan = managed.plan(command, rule)
        if plan is None or not (len(args) == plan.length or plan.fits(args)):
            return False
        if plan.value is None:
            self._forward(plan, policy, command, request, rule)
            return True
        if self._reach and self._parser.ready and self._encode(plan, plan.value, policy, command, request, rule):
            return True
        return self._encode_one(plan, plan.value, command, args, rule)

    def _forward(self, plan: Plan, policy: Policy, command: Command, request: Request, rule: Rule | None) -> None:
        behind = self._behind(plan, policy, request, rule) if self._parser.ready else ()
        stop = behind[-1].stop if behind else request.stop
        self._out.append(request.chunk[request.start : stop])
        self._took(plan, command, 1 + len(behind))

    def _encode(self, plan: Plan, place: int, policy: Policy, command: Command, request: Request, rule: Rule) -> bool:
        """As many of the first as need no further look; False: not even one, or there is but one."""
        behind = self._behind(plan, policy, request, rule)
        if not behind:
            return False
        requests = [request.args, *(other.args for other in behind)]
        values = self._encoder.encode_some(rule, [args[place] for args in requests])
        is_whole = len(values) == len(requests)
        self._reach = max(self._reach, 2 * len(values)) if is_whole else 2 * len(values)
        if not values:
            return False
        del requests[len(values) :]
        for args, value in zip(requests, values, strict=True):
            args[place] = value
        if rule.default_ttl:
            requests = [managed.with_expiry(command, args, rule) for args in requests]
        self._out.append(writers.small_commands(requests))
        self._took(plan, command, len(values))
        return True

    def _encode_one(self, plan: Plan, place: int, command: Command, args: list[bytes], rule: Rule) -> bool | CodecError:
        value = self._encoder.encode_one(rule, args[place])
        self._reach = max(self._reach, 2) if isinstance(value, bytes) and rule.brief.takes_many else 0
        if value is None:
            return False
        if isinstance(value, CodecError):
            return value
        args[place] = value
        self._out.append(writers.small_command(managed.with_expiry(command, args, rule)))
        self._took(plan, command, 1)
        return True

    def _behind(self, plan: Plan, policy: Policy, request: Request, rule: Rule | None) -> list[Request]:
        """Those that belong to the run of a request. The parser has them still."""
        args, chunk = request.args, request.chunk
        if len(args) == 1:
            return []
        ready, match = self._parser.ready, policy.match
        name, size = args[0], len(args)
        option = -2 if rule is not None and size > plan.length else 0
        room = self._allowance.limits.pending_commands - len(self._conversation.entries) - 1
        most = min(room, self._allowance.requests, len(ready) if plan.value is None else self._reach)
        at = len(ready)
        stop = max(0, at - most)
        while at > stop:
            other, its_chunk, _, _ = ready[at - 1]
            if its_chunk is not chunk or other[0] != name or len(other) != size or other[option] != args[option]:
                break
            if match(other[1]) is not rule:
                break
            at -= 1
        return ready[at:][::-1]

    def _took(self, plan: Plan, command: Command, size: int) -> None:
        self._conversation.entries.extend(repeat(plan.entry, size))
        if size > 1:
            del self._parser.ready[1 - size :]
            self._tally.commands[command] += size - 1
            self._allowance.requests -= size - 1
