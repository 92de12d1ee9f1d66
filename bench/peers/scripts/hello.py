"""What examples/hello does, for a WSGI server."""


def app(environ, start_response):
    body = ("hello %s\n" % (environ["PATH_INFO"][1:] or "world")).encode()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
