"""Python: a process of ipykernel, spoken to by the messages of Jupyter."""

import asyncio
import os
import shutil
import sys
import tempfile

from lines import display_line, error_line
from process import Died, Process

HERE = os.path.dirname(os.path.abspath(__file__))
# A kernel that has said nothing for so long after its start never will.
START_SECONDS = 60
# While it starts, it is asked so often.
ASK_SECONDS = 0.1
# Messages of a kernel that are kept while nobody takes them; then it waits.
MAX_MESSAGES = 32
# Pieces of a stream that have come meanwhile are told as one, of about so many characters.
PIECE = 2**18


class JupyterKernel:
    """One at a time may use `execute`."""

    def __init__(self, cwd, env):
        self._cwd = cwd
        self._env = env
        self._directory = None
        self._client = None
        self.process = None

    async def start(self):
        # Here and not above: it takes longer to load than the kernel takes to begin.
        from jupyter_client.asynchronous import AsyncKernelClient
        from jupyter_client.connect import write_connection_file

        self._directory = tempfile.mkdtemp(prefix="kernel-")
        file = os.path.join(self._directory, "connection.json")
        write_connection_file(file, transport="ipc", ip=os.path.join(self._directory, "socket"))
        argv = [sys.executable, os.path.join(HERE, "kernels", "python.py"), "-f", file]
        # Its own words on starting and ending are nobody's output.
        quiet = {"stdout": asyncio.subprocess.DEVNULL, "stderr": asyncio.subprocess.DEVNULL}
        self.process = Process(argv, self._cwd, self._env, **quiet)
        await self.process.start()
        self._client = AsyncKernelClient(connection_file=file)
        self._client.load_connection_file()
        self._client.context.rcvhwm = MAX_MESSAGES
        # In milliseconds: where it listens appears while we look for it.
        self._client.context.reconnect_ivl = 20
        self._client.start_channels(stdin=False, hb=False)
        await self._until_ready()

    async def _until_ready(self):
        """What it publishes is lost until it is listened to, so it is asked until something is heard."""
        heard = asyncio.ensure_future(self._next())
        try:
            for _ in range(int(START_SECONDS / ASK_SECONDS)):
                self._client.kernel_info()
                await asyncio.wait({heard}, timeout=ASK_SECONDS)
                if heard.done():
                    return heard.result()
            raise Died("it was not ready in time")
        finally:
            heard.cancel()

    async def execute(self, code, env):
        """Yields what the run tells, to its end. Raises Died."""
        client = self._client
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        message = client.session.msg("execute_request", {**content, "stop_on_error": False, "caisson_env": env})
        client.shell_channel.send(message)
        run = message["header"]["msg_id"]
        async for kind, content in self._told_of(run):
            if kind == "status" and content["execution_state"] == "idle":
                break
            line = to_line(kind, content)
            if line is not None:
                yield line
        # It says nothing more, but would be in the way of the next; so may be answers to what it was asked as it started.
        while (await self._or_gone(client.get_shell_msg()))["parent_header"].get("msg_id") != run:
            pass

    async def _told_of(self, run):
        """Kind and content of what is told of a run; threads may tell of earlier ones, too."""
        ahead = None
        while True:
            message, ahead = ahead or await self._next(), None
            if message["parent_header"].get("msg_id") != run:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                text, ahead = await self._more(message)
                content = {**content, "text": text}
            yield kind, content

    async def _more(self, first):
        """The text of a piece and of those after it that are here already; and what came instead of one."""
        texts, length = [first["content"]["text"]], 0
        while length < PIECE and await self._client.iopub_channel.msg_ready():
            message = await self._next()
            if not continues(first, message):
                return "".join(texts), message
            texts.append(message["content"]["text"])
            length += len(texts[-1])
        return "".join(texts), None

    def _next(self):
        return self._or_gone(self._client.get_iopub_msg())

    async def _or_gone(self, waited):
        """The result, unless the process ends first."""
        task = asyncio.ensure_future(waited)
        gone = asyncio.ensure_future(self.process.gone.wait())
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise Died(self.process.ending)
        finally:
            task.cancel()
            gone.cancel()

    def interrupt(self):
        self.process.interrupt()

    async def stop(self):
        if self._client is not None:
            self._client.stop_channels()
        if self.process is not None:
            await self.process.stop()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)


def continues(first, message):
    return (
        message["msg_type"] == "stream"
        and message["content"]["name"] == first["content"]["name"]
        and message["parent_header"].get("msg_id") == first["parent_header"].get("msg_id")
    )


def to_line(kind, content):
    if kind == "stream":
        return {"type": content["name"], "text": content["text"]}
    if kind == "execute_input":
        return {"type": "number_of_executions", "execution_count": content["execution_count"]}
    if kind in ("execute_result", "display_data", "update_display_data"):
        return display_line(content["data"], kind == "execute_result")
    if kind == "error":
        return error_line(content["ename"], content["evalue"], "\n".join(content["traceback"]))
    return None
