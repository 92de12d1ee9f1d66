"""The Multiply of examples/crunch, for a WSGI server."""
import json
from urllib.parse import parse_qs


def app(environ, start_response):
    query = parse_qs(environ["QUERY_STRING"])
    product = float(query["x"][0]) * float(query["y"][0])
    body = (json.dumps({"value": ["crunch.Output", {"value": product}, []]}) + "\n").encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
