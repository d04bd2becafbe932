"""JavaScript and TypeScript: a process of Node that evaluates as the console of a debugger does."""

import asyncio
import json
import os
import socket

from lines import display_line
from piped_kernel import PipedKernel

HERE = os.path.dirname(os.path.abspath(__file__))
# Whoever has not answered within this is in a loop, and is thrown out of it.
ANSWER_SECONDS = 0.3
# One line of the program's answers, in bytes.
MAX_LINE = 256 * 2**20


class NodeKernel(PipedKernel):
    def __init__(self, cwd, env, language):
        super().__init__(cwd, env)
        self._language = language
        self._count = 0
        self._reader = self._writer = self._switch = self._listening = None
        self._answered = asyncio.Event()

    async def start(self):
        ours, theirs = socket.socketpair()
        switch, self._switch = os.pipe()
        argv = [
            *("node", "--disable-warning=ExperimentalWarning", "--no-force-async-hooks-checks"),
            *(os.path.join(HERE, "kernels", "node.cjs"), str(theirs.fileno()), str(switch), self._language),
        ]
        await self._spawn(argv, (theirs.fileno(), switch))
        theirs.close()
        os.close(switch)
        self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=MAX_LINE)
        self._listening = asyncio.ensure_future(self._listen())

    def _begin(self, code, env):
        self._count += 1
        self._queue.put_nowait({"type": "number_of_executions", "execution_count": self._count})
        self._tell({"run": self._count, "code": code, "env": env})

    async def _listen(self):
        try:
            while True:
                message = json.loads(await self._reader.readline() or b"null")
                if message is None:
                    return
                if "answered" in message:
                    self._answered.set()
                elif message.get("ended") == self._count:
                    self._end([to_line(line) for line in message["lines"]])
        except (OSError, ValueError):
            # It has written what it should not, or is gone: then its process tells.
            await self.process.stop()

    def interrupt(self):
        # To those that it has started: they may be what it waits for.
        super().interrupt()
        self._answered.clear()
        self._tell({"interrupt": self._count})
        asyncio.get_running_loop().call_later(ANSWER_SECONDS, self._throw_out)

    def _throw_out(self):
        if not self._answered.is_set() and self._switch is not None:
            os.write(self._switch, b"!")

    def _tell(self, message):
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode("ascii") + b"\n")

    async def stop(self):
        await super().stop()
        if self._switch is not None:
            os.close(self._switch)
            self._switch = None
        if self._listening is not None:
            self._listening.cancel()
        if self._writer is not None:
            self._writer.close()


def to_line(told):
    return display_line(told["display"], True) if "display" in told else told
