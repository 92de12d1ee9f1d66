"""Python's multiprocessing.Pool of two processes."""
from multiprocessing import Pool

from serve import rate, serve


def same(n):
    return n


def flight(pool, n):
    results = [pool.apply_async(same, (i,)) for i in range(n)]
    for i, r in enumerate(results):
        assert r.get() == i


def chunked(pool, n):
    assert pool.map(same, range(n)) == list(range(n))


if __name__ == "__main__":
    with Pool(2) as pool:
        pool.map(same, range(100))
        serve({
            "flight": lambda n: rate(n, lambda: flight(pool, n)),
            "map": lambda n: rate(n, lambda: chunked(pool, n)),
        })
