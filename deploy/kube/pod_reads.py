"""What is read of a pod itself: what it logs, and whether it answers."""

from deploy.kube.api_errors import error_from, message_of
from deploy.kube.connection import Connection, Stream
from deploy.kube.kinds import kind_of


class PodReads:
    """The part of a cluster's client that reads pods through the API server."""

    name: str
    _connection: Connection

    def logs(
        self,
        namespace: str,
        pod: str,
        container: str = "",
        *,
        tail: int | None = None,
        since_seconds: int | None = None,
        previous: bool = False,
        timestamps: bool = False,
        most: int | None = None,
    ) -> str:
        """The last lines a container wrote; of its run before that with `previous`.

        With `timestamps` each line begins with the moment the kubelet got it (RFC 3339). Of more
        than `most` bytes the first are given, which may end within a line.
        """
        answer = self._connection.request(
            "GET",
            kind_of("Pod").path(namespace, pod, "log"),
            what=f"the log of pod “{pod}”",
            namespace=namespace,
            query={
                "container": container,
                "tailLines": tail,
                "sinceSeconds": since_seconds,
                "previous": previous,
                "timestamps": timestamps,
                "limitBytes": most,
            },
            repeat=True,
        )
        return answer.decode("utf-8", "replace")

    def follow_log(
        self,
        namespace: str,
        pod: str,
        container: str = "",
        *,
        tail: int | None = None,
        since_seconds: int | None = None,
        since_time: str = "",
        silence: float,
    ) -> Stream:
        """What a container writes, as it comes, each line with the kubelet's timestamp; what it
        wrote before from `since_time` on (RFC 3339), or the last `tail` lines of it."""
        return self._connection.stream(
            kind_of("Pod").path(namespace, pod, "log"),
            what=f"the log of pod “{pod}”",
            namespace=namespace,
            query={
                "container": container,
                "follow": True,
                "timestamps": True,
                "tailLines": tail,
                "sinceSeconds": since_seconds,
                "sinceTime": since_time,
            },
            silence=silence,
        )

    def probe(self, namespace: str, pod: str, port: int, path: str) -> str:
        """Why a pod does not answer 200 there, asked through the API server; empty when it does."""
        proxy = kind_of("Pod").path(namespace, f"{pod}:{port}", "proxy")
        status, body = self._connection.answer(f"{proxy}{path}")
        if status == 200:
            return ""
        message, parsed = message_of(body)
        if parsed.get("kind") != "Status":
            return f"it answers {status}"
        if status in (401, 403):
            raise error_from(self.name, status, body, what=f"pod “{pod}”", namespace=namespace)
        return message or f"the API server answered {status}"
