"""`status` of 2,000 gateways with 5 pods each, beside `kubectl get` of the same facts.

As `status` does it with 200, so that both show how it grows. It takes some minutes to fill.
"""

import tempfile
from pathlib import Path

from tests.bench.results import Result
from tests.bench.status import measured, plane_in, printed

GATEWAYS = 2_000


def main() -> list[Result]:
    """Print the rows."""
    with tempfile.TemporaryDirectory(prefix="bench-many-") as name, plane_in(Path(name)) as plane:
        return printed(measured(plane, Path(name), GATEWAYS))


if __name__ == "__main__":
    main()
