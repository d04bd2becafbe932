"""Bash: one shell, whose directory, variables and functions stay."""

import asyncio
import os
import shlex

from lines import error_line
from piped_kernel import PipedKernel, write_all

# An interactive shell goes back to its prompt when it is interrupted, and takes neither itself nor its state along.
ARGV = ["/bin/bash", "--norc", "--noprofile", "--noediting", "+H", "-i"]


class BashKernel(PipedKernel):
    def __init__(self, cwd, env):
        # No prompts, and no history.
        super().__init__(cwd, {**env, "PS1": "", "PS2": "", "HISTFILE": ""})
        self._count = 0
        # What it is told, what it is to run, how that ended; the ends that are ours.
        self._commands = self._code = self._status = None

    async def start(self):
        (commands, self._commands), (code, self._code), (self._status, status) = os.pipe(), os.pipe(), os.pipe()
        stderr = self._pipes[1].write_end
        # Until it is told where its stderr is: it says that it has no terminal, which is nobody's output.
        quiet = {"stdin": commands, "stderr": asyncio.subprocess.DEVNULL}
        await self._spawn(ARGV, (code, status, stderr), **quiet)
        for end in (commands, code, status):
            os.close(end)
        os.write(self._commands, f"exec 2>&{stderr} {stderr}>&-\n".encode())
        self._run = (
            # `eval` at the top, and not in a function: there `declare` would be local.
            f'IFS= read -r -d "" -u {code} __code; eval "$__code" </dev/null\n__status=$?\n',
            f'printf "%d\\n" "$__status" >&{status}\n',
        )
        asyncio.get_running_loop().add_reader(self._status, self._ended)

    def _begin(self, code, env):
        self._count += 1
        self._queue.put_nowait({"type": "number_of_executions", "execution_count": self._count})
        run, tell = self._run
        commands = "".join([*map(begin_variable, env.items()), run, *map(end_variable, env), tell])
        send = asyncio.get_running_loop().run_in_executor
        send(None, write_all, self._commands, encoded(commands))
        send(None, write_all, self._code, encoded(code) + b"\0")

    def _ended(self):
        code = os.read(self._status, 64).decode().strip()
        if not code:
            asyncio.get_running_loop().remove_reader(self._status)
        elif code == "0":
            self._end()
        else:
            self._end([error_line("ExitCode", code, f"The last command ended with exit code {code}.")])

    async def stop(self):
        await super().stop()
        if self._status is not None:
            asyncio.get_running_loop().remove_reader(self._status)
            for end in (self._commands, self._code, self._status):
                os.close(end)
            self._status = None


def begin_variable(item):
    name, value = item
    return f"__had_{name}=${{{name}+x}} __was_{name}=${{{name}-}}; export {name}={shlex.quote(value)}\n"


def end_variable(name):
    return f'if [ -n "$__had_{name}" ]; then {name}=$__was_{name}; else unset {name}; fi; unset __had_{name} __was_{name}\n'


def encoded(text):
    return text.encode("utf-8", "replace").replace(b"\0", b"")
