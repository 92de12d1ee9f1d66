"""The prefork server of "Developing scalable services with Python", in Python 3: a pool of processes
that share one listening socket and serve files, with a line for each request on standard error."""
import os
import sys
from http.server import HTTPServer, SimpleHTTPRequestHandler
from multiprocessing import Process, current_process, set_start_method

PROCESSES = 4


def note(text, *args):
    sys.stderr.write("[%s]\t%s\n" % (current_process().name, text % args))


class RequestHandler(SimpleHTTPRequestHandler):
    def log_message(self, text, *args):
        note(text, *args)


def serve_forever(server):
    note("starting server")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


def main():
    port, folder = int(sys.argv[1]), sys.argv[2]
    set_start_method("fork")
    os.chdir(folder)
    server = HTTPServer(("127.0.0.1", port), RequestHandler)
    for _ in range(PROCESSES - 1):
        Process(target=serve_forever, args=(server,), daemon=True).start()
    serve_forever(server)


main()
