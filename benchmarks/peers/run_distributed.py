"""No-op tasks in Dask's distributed scheduler with two worker processes. It keeps nothing."""

import sys
from importlib.metadata import version

from distributed import Client, LocalCluster
from measuring import cost_of

from peers import report


def noop(x: int) -> int:
    return x


def main() -> None:
    n = int(sys.argv[1])
    with (
        LocalCluster(n_workers=2, threads_per_worker=4, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.gather(client.map(noop, range(10), pure=False))
        costs = [cost_of(lambda: client.gather(client.map(noop, range(n), pure=False))) for _ in range(3)]
        report(f"distributed {version('distributed')}, `.map()`, nothing kept", costs, None)


if __name__ == "__main__":
    main()
