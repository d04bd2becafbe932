"""Contexts: where code is run, one run after the other, and keeps its state."""

import asyncio
import os
import uuid

from bash_kernel import BashKernel
from jupyter_kernel import JupyterKernel
from lines import error_line
from node_kernel import NodeKernel
from process import Died

MAX_CONTEXTS = 100
# Whoever does not end after so many seconds of interrupts is ended.
PATIENCE_SECONDS = 10

KERNELS = {
    "python": JupyterKernel,
    "javascript": lambda cwd, env: NodeKernel(cwd, env, "javascript"),
    "typescript": lambda cwd, env: NodeKernel(cwd, env, "typescript"),
    "bash": BashKernel,
}
ALIASES = {"js": "javascript", "ts": "typescript", "python3": "python", "py": "python", "sh": "bash", "shell": "bash"}


class Refused(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Context:
    def __init__(self, language, cwd):
        self.id = str(uuid.uuid4())
        self.language = language
        self.cwd = cwd
        # One run, start or restart at a time.
        self._turn = asyncio.Lock()
        self._kernel = None
        # What the next run has to be told of what happened meanwhile.
        self._notice = None
        self._why = None
        self._removed = False

    def show(self):
        return {"id": self.id, "language": self.language, "cwd": self.cwd}

    async def start(self):
        async with self._turn:
            await self._ensure()

    async def execute(self, code, env, left):
        """Yields lines to the end of the run. `left`: an event; once it is set, the run is interrupted."""
        async with self._turn:
            if left.is_set():
                return
            if self._removed:
                yield error_line("KernelDied", "The context was removed.", "The context was removed.")
                return
            self._why = None
            try:
                await self._ensure()
                if self._notice is not None:
                    notice, self._notice = self._notice, None
                    yield {"type": "stderr", "text": f"{notice}\n"}
                async for line in self._run(self._kernel, code, env, left):
                    yield line
            except Died as died:
                how = self._why or f"The context's process is gone: {died}. The next run begins a new one."
                yield error_line("KernelDied", how, how)
                await self._drop()

    async def _run(self, kernel, code, env, left):
        watching = asyncio.ensure_future(self._interrupt_when(left, kernel))
        try:
            async for line in kernel.execute(code, env):
                if not left.is_set():
                    yield line
        finally:
            watching.cancel()

    async def _interrupt_when(self, left, kernel):
        await left.wait()
        for _ in range(PATIENCE_SECONDS):
            kernel.interrupt()
            await asyncio.sleep(1)
        self._notice = "The run before could not be interrupted: the context was begun anew."
        await kernel.process.stop()

    async def restart(self):
        await self._end("The context was restarted.")
        async with self._turn:
            await self._drop()
            self._notice = None
            await self._ensure()

    async def remove(self):
        self._removed = True
        await self._end("The context was removed.")
        async with self._turn:
            await self._drop()

    async def _end(self, why):
        """Ends the process under whoever runs something."""
        self._why = why
        if self._kernel is not None and self._kernel.process is not None:
            await self._kernel.process.stop()

    async def _ensure(self):
        kernel = self._kernel
        if kernel is not None and kernel.process.gone.is_set():
            self._notice = f"The context's process was gone ({kernel.process.ending}): the context was begun anew."
            await self._drop()
        if self._kernel is not None:
            return
        kernel = KERNELS[self.language](self.cwd, environment())
        try:
            await kernel.start()
        except OSError as error:
            await kernel.stop()
            raise Died(f"it could not be begun: {error}") from None
        except BaseException:
            await kernel.stop()
            raise
        self._kernel = kernel

    async def _drop(self):
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            await kernel.stop()


class Contexts:
    def __init__(self, home):
        self._home = home
        self._all = {}
        # Language → the context of runs that name none.
        self._default = {}

    def list(self):
        return [context.show() for context in self._all.values()]

    def find(self, id):
        context = self._all.get(id)
        if context is None:
            raise Refused(404, f"Context {id} not found")
        return context

    def default(self, language):
        language = known(language)
        context = self._default.get(language)
        if context is None:
            context = self._default[language] = self._add(language, self._home)
        return context

    async def create(self, language, cwd):
        directory = os.path.join(self._home, cwd or "")
        if not os.path.isdir(directory):
            raise Refused(400, f"{directory} is not a directory")
        context = self._add(known(language), os.path.normpath(directory))
        try:
            await context.start()
        except BaseException:
            await self.remove(context.id)
            raise
        return context

    async def remove(self, id):
        context = self.find(id)
        del self._all[id]
        self._default = {language: one for language, one in self._default.items() if one is not context}
        await context.remove()

    def _add(self, language, cwd):
        if len(self._all) >= MAX_CONTEXTS:
            raise Refused(400, f"There are {MAX_CONTEXTS} contexts already: remove one first")
        context = Context(language, cwd)
        self._all[context.id] = context
        return context


def known(language):
    name = (language or "python").lower()
    name = ALIASES.get(name, name)
    if name not in KERNELS:
        raise Refused(400, f"The language {language} is not supported, only {', '.join(KERNELS)}")
    return name


def environment():
    return dict(os.environ)
