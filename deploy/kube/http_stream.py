"""An open answer of an API server, read line by line as it comes, that any thread may end."""

from collections.abc import Callable, Iterator

import urllib3

from deploy.errors import Unavailable
from deploy.kube.connection import Silent
from deploy.link_faults import Place, fault_of

_PLACE = Place("`server` of its kubeconfig", "`certificate-authority` of its kubeconfig")


class HttpStream:
    """A Stream over a urllib3 response. `silent` is called when nothing came for too long."""

    def __init__(
        self,
        cluster: str,
        what: str,
        response: urllib3.BaseHTTPResponse,
        silent: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._what = what
        self._response = response
        self._silent = silent
        self._closed = False
        self._read = False

    def lines(self, longest: int | None = None) -> Iterator[bytes]:
        rest, cut = b"", False
        self._read = True
        if self._closed:
            self._response.close()
            return
        try:
            for chunk in self._response.stream(amt=None):
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    if not cut:
                        yield line[:longest]
                    cut = False
                if longest is not None and len(rest) > longest:
                    if not cut:
                        yield rest[:longest]
                    rest, cut = b"", True
            if rest and not cut and not self._closed:
                yield rest
        except urllib3.exceptions.ReadTimeoutError:
            self._silent()
            raise Silent(
                f"Cluster “{self._cluster}” sent no data for {self._what} for too long."
            ) from None
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            # A response that another thread has shut down raises any of these.
            if not self._closed:
                what = fault_of(error, _PLACE).what
                raise Unavailable(
                    f"Cluster “{self._cluster}” interrupted {self._what}: {what}."
                ) from None
        finally:
            self._response.close()

    def close(self) -> None:
        self._closed = True
        if not self._read:
            self._response.close()
            return
        # Whoever reads it closes it; a socket must not be closed under a thread that waits on it.
        shutdown = getattr(self._response, "shutdown", None)
        if shutdown is not None:
            try:
                shutdown()
            except (OSError, ValueError):
                # It has ended in the meantime, which is what was wanted.
                return
