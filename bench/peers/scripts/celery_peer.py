"""Celery with Redis as broker and as store of results."""
import os

from celery import Celery

from serve import rate, serve

url = os.environ["BENCH_REDIS"]
app = Celery("celery_peer", broker=url, backend=url)
app.conf.update(broker_connection_retry_on_startup=True)


@app.task
def same(n):
    return n


def flight(n):
    results = [same.delay(i) for i in range(n)]
    for i, r in enumerate(results):
        assert r.get(timeout=60) == i


def ready(n):
    return same.delay(n).get(timeout=30)


if __name__ == "__main__":
    serve({"flight": lambda n: rate(n, lambda: flight(n)), "ready": ready})
