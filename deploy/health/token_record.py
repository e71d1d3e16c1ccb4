"""What was last read of each token's Secret on one cluster: no watch covers those."""

import threading
from collections.abc import Set

from deploy.kube.cluster import Cluster
from deploy.observed.token_facts import SecretKey, TokenFacts, read_all

_UNREAD = TokenFacts(None, error="not read yet")


class TokenRecord:
    """Safe to use from many threads."""

    def __init__(self, cluster: Cluster, again: float) -> None:
        """What was read less than `again` seconds ago is not read again."""
        self._cluster = cluster
        self._again = again
        self._lock = threading.Lock()
        self._known: dict[SecretKey, TokenFacts] = {}

    def of(self, key: SecretKey) -> TokenFacts:
        """What is known of that Secret's token."""
        return self._known.get(key, _UNREAD)

    def knows(self, keys: Set[SecretKey]) -> bool:
        """Whether each of these was asked for at least once."""
        return keys <= self._known.keys()

    @property
    def some_missing(self) -> bool:
        """Whether there is no such Secret for some, which may come at any moment."""
        return any(facts.missing for facts in self._known.values())

    def read(self, keys: Set[SecretKey]) -> bool:
        """Read these Secrets where that is due, and forget all others; whether that changes facts."""
        known = self._known
        read = read_all(self._cluster, keys, known, self._again)
        with self._lock:
            # Somebody may have read one of them in the meantime.
            noted = {k: t for k, t in self._known.items() if t is not known.get(k) and k in keys}
            return self._keep(read | noted)

    def learned(self, key: SecretKey, facts: TokenFacts) -> bool:
        """Keep what somebody else read of one of them just now; whether that changes its facts."""
        with self._lock:
            return key in self._known and self._keep({**self._known, key: facts})

    def _keep(self, tokens: dict[SecretKey, TokenFacts]) -> bool:
        before = {key: token.facts for key, token in self._known.items()}
        # Never changed in place: others read it meanwhile.
        self._known = tokens
        return {key: token.facts for key, token in tokens.items()} != before
