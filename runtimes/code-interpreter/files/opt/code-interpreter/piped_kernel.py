"""Kernels whose output is what they write to stdout and stderr, and that are told what to run by a descriptor of their own."""

import array
import asyncio
import codecs
import fcntl
import os
import termios

from process import Died, Process

CHUNK = 65536


class Pipe:
    """What arrives in a pipe: reading stops while nobody wants more, so that the writer waits."""

    def __init__(self, name, queue):
        self.name = name
        self._queue = queue
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._reading = False
        self._open = True
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)

    def resume(self):
        if self._open and not self._reading and self.read_end >= 0:
            self._reading = True
            asyncio.get_running_loop().add_reader(self.read_end, self._readable)

    def pause(self):
        if self._reading:
            self._reading = False
            asyncio.get_running_loop().remove_reader(self.read_end)

    def drain(self):
        """What is in it now, and nothing that comes later."""
        waiting = array.array("i", [0])
        fcntl.ioctl(self.read_end, termios.FIONREAD, waiting)
        left = waiting[0]
        while left > 0:
            data = os.read(self.read_end, min(left, CHUNK))
            if not data:
                return
            left -= len(data)
            self._take(data)

    def close(self):
        self.pause()
        for end in (self.read_end, self.write_end):
            if end >= 0:
                os.close(end)
        self.read_end = self.write_end = -1

    def close_write_end(self):
        os.close(self.write_end)
        self.write_end = -1

    def _readable(self):
        data = os.read(self.read_end, CHUNK)
        if not data:
            self.pause()
            self._open = False
            return
        self._take(data)
        self.pause()
        self._queue.put_nowait(None)

    def _take(self, data):
        text = self._decoder.decode(data)
        if text:
            self._queue.put_nowait({"type": self.name, "text": text})


class PipedKernel:
    """Begins `argv` with stdout and stderr piped. Who derives from it says how a run begins, and calls `_end` at its end."""

    def __init__(self, cwd, env):
        self._cwd = cwd
        self._env = env
        self._queue = asyncio.Queue()
        self._pipes = [Pipe("stdout", self._queue), Pipe("stderr", self._queue)]
        self.process = None

    async def _spawn(self, argv, pass_fds, **pipes):
        out, err = self._pipes
        pipes = {"stdout": out.write_end, "stderr": err.write_end, **pipes}
        self.process = Process(argv, self._cwd, self._env, pass_fds, **pipes)
        await self.process.start()
        for pipe in self._pipes:
            pipe.close_write_end()

    async def execute(self, code, env):
        """Yields what the run tells, to its end. Raises Died."""
        self._forget()
        self._begin(code, env)
        gone = asyncio.ensure_future(self.process.gone.wait())
        try:
            while True:
                for pipe in self._pipes:
                    pipe.resume()
                line = await self._next(gone)
                if line is END:
                    return
                if line is not None:
                    yield line
        finally:
            gone.cancel()

    async def _next(self, gone):
        heard = asyncio.ensure_future(self._queue.get())
        await asyncio.wait({heard, gone}, return_when=asyncio.FIRST_COMPLETED)
        if heard.done():
            return heard.result()
        heard.cancel()
        self._drain()
        if self._queue.empty():
            raise Died(self.process.ending)
        return self._queue.get_nowait()

    def _end(self, lines=()):
        """Everything that the run wrote is in the pipes by now: it comes before `lines`, and then nothing more."""
        self._drain()
        for line in lines:
            self._queue.put_nowait(line)
        self._queue.put_nowait(END)

    def _forget(self):
        """What came after the run before was of nobody's."""
        self._drain()
        while not self._queue.empty():
            self._queue.get_nowait()

    def _drain(self):
        for pipe in self._pipes:
            pipe.drain()

    def interrupt(self):
        self.process.interrupt()

    async def stop(self):
        if self.process is not None:
            await self.process.stop()
        for pipe in self._pipes:
            pipe.close()


# Stands for the end of a run.
END = object()


def write_all(descriptor, data):
    """Waits as long as nobody reads; ends early when nobody ever will."""
    try:
        while data:
            data = data[os.write(descriptor, data):]
    except OSError:
        pass
