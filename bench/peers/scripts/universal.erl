%% Armstrong's universal server, and a client in another node that measures it.
%% The server becomes what it is told; here a server that sends back what it got.
-module(universal).
-export([server/0, client/1, echo/0]).

universal() -> receive {become, F} -> F() end.

echo() -> receive {From, N} -> From ! {self(), N}, ?MODULE:echo() end.

server() -> register(universal, spawn(fun universal/0)).

client([Node]) -> spawn(fun() -> connect(Node, 100) end).

connect(_, 0) -> halt(1);
connect(Node, Tries) ->
    case net_adm:ping(Node) of
        pong ->
            case rpc:call(Node, erlang, whereis, [universal]) of
                Pid when is_pid(Pid) -> Pid ! {become, fun ?MODULE:echo/0}, serve(Pid);
                _ -> timer:sleep(50), connect(Node, Tries - 1)
            end;
        pang -> timer:sleep(50), connect(Node, Tries - 1)
    end.

%% Questions come as lines on standard input, the node runs with -noinput so
%% that nothing else reads them.
serve(Pid) -> serve(Pid, open_port({fd, 0, 1}, [{line, 1000}, eof])).

serve(Pid, Port) ->
    receive
        {Port, {data, {eol, Line}}} ->
            [What, Count] = string:lexemes(Line, " "),
            Value = answer(What, list_to_integer(Count), Pid),
            port_command(Port, io_lib:format("{\"value\": ~.3f}~n", [float(Value)])),
            serve(Pid, Port);
        {Port, eof} -> halt(0)
    end.

answer("ready", N, _) -> N;
answer("call", N, Pid) ->
    [one(Pid, I) || I <- lists:seq(1, N div 10)],
    lists:nth(N div 2, lists:sort([one(Pid, I) || I <- lists:seq(1, N)]));
answer("flight", N, Pid) ->
    Began = erlang:monotonic_time(nanosecond),
    Me = self(),
    [Pid ! {Me, I} || I <- lists:seq(1, N)],
    [receive {Pid, I} -> ok end || I <- lists:seq(1, N)],
    N * 1.0e9 / (erlang:monotonic_time(nanosecond) - Began).

%% One call and its answer, in microseconds.
one(Pid, I) ->
    Began = erlang:monotonic_time(nanosecond),
    Pid ! {self(), I},
    receive {Pid, I} -> ok end,
    (erlang:monotonic_time(nanosecond) - Began) / 1000.
