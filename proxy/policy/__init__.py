"""Rules, guard and limits: frozen values. A reload replaces the whole policy."""

from proxy.policy.policy import LONGEST_KEY, OVERSIZE, As, Guard, OnUndecodable, Policy, Rule, SessionLimits

__all__ = ["LONGEST_KEY", "OVERSIZE", "As", "Guard", "OnUndecodable", "Policy", "Rule", "SessionLimits"]
