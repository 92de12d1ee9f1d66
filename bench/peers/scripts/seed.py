"""The seed's universal Python server: a manager with two queues, a worker that
runs whatever code comes, a boss that sends factorials. As there, every use of a
queue fetches it anew; only the port and the number of rounds are arguments."""
import marshal
import os
import sys
import types
from multiprocessing import Queue
from multiprocessing.managers import SyncManager

from serve import rate, serve


class Manager(SyncManager):
    pass


def connect(port):
    Manager.register("get_job_q")
    Manager.register("get_res_q")
    manager = Manager(address=("127.0.0.1", port), authkey=b"abc")
    manager.connect()
    return manager


def run_manager(port):
    jobs, results = Queue(), Queue()
    Manager.register("get_job_q", callable=lambda: jobs)
    Manager.register("get_res_q", callable=lambda: results)
    Manager(address=("127.0.0.1", port), authkey=b"abc").get_server().serve_forever()


def run_worker(port):
    manager = connect(port)
    jobs, results = manager.get_job_q(), manager.get_res_q()
    while True:
        code, args, kwargs = jobs.get()
        f = types.FunctionType(marshal.loads(code), globals(), "loaded")
        results.put((os.getpid(), f(*args, **kwargs)))


def remote(f, manager):
    def send(*args, **kwargs):
        manager.get_job_q().put((marshal.dumps(f.__code__), args, kwargs))
    return send


def factorial(n):
    res = 1
    while n > 1:
        res, n = res * n, n - 1
    return res


def boss(manager, n):
    for _ in range(n):
        for num in range(1, 10):
            remote(factorial, manager)(num)
        got = sorted(manager.get_res_q().get()[1] for _ in range(1, 10))
        assert got == [factorial(i) for i in range(1, 10)]


if __name__ == "__main__":
    role, port = sys.argv[1], int(sys.argv[2])
    if role == "manager":
        run_manager(port)
    elif role == "worker":
        run_worker(port)
    else:
        manager = connect(port)
        serve({"seed": lambda n: rate(9 * n, lambda: boss(manager, n))})
