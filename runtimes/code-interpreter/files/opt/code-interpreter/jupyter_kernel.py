"""Python: a process of ipykernel, spoken to by the messages of Jupyter."""

import asyncio
import os
import shutil
import sys
import tempfile

from lines import display_line, error_line
from process import Died, Process

HERE = os.path.dirname(os.path.abspath(__file__))
# A kernel that does not answer for so long after its start never will.
START_SECONDS = 60
# With more characters of output that nobody has taken the kernel is held, and goes on with less.
HOLD_AT = 32 * 2**20
GO_ON_AT = 8 * 2**20


class JupyterKernel:
    """One at a time may use `execute`."""

    def __init__(self, cwd, env):
        self._cwd = cwd
        self._env = env
        self._directory = None
        self._client = None
        self._backlog = Backlog(self)
        self._listening = None
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
        # A kernel does not wait for its listeners: without a limit nothing is lost, and `Backlog` is the limit.
        self._client.context.rcvhwm = 0
        self._client.start_channels(stdin=False, hb=False)
        await self._until_ready()

    async def _until_ready(self):
        ready = asyncio.ensure_future(self._client.wait_for_ready(timeout=START_SECONDS))
        try:
            await self._or_gone(ready)
        except RuntimeError as error:
            raise Died(f"it was not ready: {error}") from None
        self._listening = asyncio.ensure_future(self._listen())

    async def _listen(self):
        while True:
            self._backlog.put(await self._client.get_iopub_msg())

    async def execute(self, code, env):
        """Yields what the run tells, to its end. Raises Died."""
        client = self._client
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        message = client.session.msg("execute_request", {**content, "stop_on_error": False, "caisson_env": env})
        self._backlog.begin(message["header"]["msg_id"])
        client.shell_channel.send(message)
        while True:
            heard = await self._or_gone(asyncio.ensure_future(self._backlog.get()))
            kind, content = heard["msg_type"], heard["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            line = to_line(kind, content)
            if line is not None:
                yield line
        # The reply says nothing more, but would be in the way of the next.
        await self._or_gone(asyncio.ensure_future(client.get_shell_msg()))

    def interrupt(self):
        self.process.interrupt()

    async def stop(self):
        if self._listening is not None:
            self._listening.cancel()
        if self._client is not None:
            self._client.stop_channels()
        if self.process is not None:
            await self.process.stop()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    async def _or_gone(self, task):
        """The result of a task, unless the process ends first."""
        gone = asyncio.ensure_future(self.process.gone.wait())
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise Died(self.process.ending)
        finally:
            task.cancel()
            gone.cancel()


class Backlog:
    """What a kernel has told of the run that is on, and nobody has taken."""

    def __init__(self, kernel):
        self._kernel = kernel
        self._run = None
        self._queue = asyncio.Queue()
        self._size = 0
        self._held = False

    def begin(self, run):
        self._run = run
        self._queue = asyncio.Queue()
        self._size = 0

    def put(self, message):
        # Threads may go on to tell of a run that is over.
        if message["parent_header"].get("msg_id") != self._run:
            return
        self._queue.put_nowait(message)
        self._size += size_of(message)
        if self._size > HOLD_AT and not self._held:
            self._held = True
            self._kernel.process.hold()

    async def get(self):
        message = await self._queue.get()
        self._size -= size_of(message)
        if self._size < GO_ON_AT and self._held:
            self._held = False
            self._kernel.process.go_on()
        return message


def size_of(message):
    content = message["content"]
    if "text" in content:
        return len(content["text"])
    return sum(len(value) if isinstance(value, str) else 1000 for value in content.get("data", {}).values()) + 100


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
