"""The Multiply of examples/crunch, for layer-cake, Ansar's successor."""
import sys

import layer_cake as lc


class Multiply:
    def __init__(self, x: float = 0.0, y: float = 0.0):
        self.x = x
        self.y = y


class Output:
    def __init__(self, value: float = 0.0):
        self.value = value


lc.bind(Multiply)
lc.bind(Output)

port = int(sys.argv.pop())  # the rest of the line is layer-cake's own


def server(self):
    lc.listen(self, lc.HostPort("127.0.0.1", port), http_server=[Multiply])
    m = self.input()
    if not isinstance(m, lc.Listening):
        return m
    while True:
        m = self.input()
        if isinstance(m, Multiply):
            self.send(Output(m.x * m.y), self.return_address)
        elif isinstance(m, lc.Faulted):
            return m
        elif isinstance(m, lc.Stop):
            return lc.Aborted()


lc.bind(server)

if __name__ == "__main__":
    lc.create(server)
