"""A process that keeps the state of a context, with its own session, so that a signal reaches all it has started."""

import asyncio
import os
import signal


class Died(Exception):
    """The process has ended, with a sentence on how."""


class Process:
    def __init__(self, argv, cwd, env, pass_fds=(), **pipes):
        self._argv = argv
        self._options = {"cwd": cwd, "env": env, "pass_fds": pass_fds, "stdin": asyncio.subprocess.DEVNULL, **pipes}
        self._child = self._watching = None
        # Set when it has ended.
        self.gone = asyncio.Event()

    async def start(self):
        self._child = await asyncio.create_subprocess_exec(*self._argv, start_new_session=True, **self._options)
        self._watching = asyncio.ensure_future(self._watch())

    async def _watch(self):
        await self._child.wait()
        self._signal(signal.SIGKILL)
        self.gone.set()

    @property
    def ending(self):
        code = self._child.returncode
        if code is None:
            return "it runs"
        if code < 0:
            return f"it was ended by {signal.Signals(-code).name}"
        return f"it ended with exit code {code}"

    def interrupt(self):
        self._signal(signal.SIGINT)

    async def stop(self):
        """By force: it has nothing to bring in order, and a shell would not listen to less."""
        if self._child is None or self.gone.is_set():
            return
        self._signal(signal.SIGKILL)
        await self.gone.wait()

    def _signal(self, number):
        # The group may outlive its leader; its number is not given to others while a member lives.
        try:
            os.killpg(self._child.pid, number)
        except ProcessLookupError:
            pass
