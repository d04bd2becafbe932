"""
The code interpreter: HTTP on port 49999 of the sandbox's loopback. Whoever may reach that port was let in to the sandbox.
"""

import asyncio
import json
import os
import re

from contexts import Contexts, Refused
from lines import encode, error_line
from process import Died
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler

PORT = 49999
# What a request may hold, in bytes.
MAX_BODY = 64 * 2**20
# A client that hears nothing for longer may take the connection for dead.
KEEPALIVE_SECONDS = 5
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Handler(RequestHandler):
    @property
    def contexts(self):
        return self.application.settings["contexts"]

    def body(self):
        """The fields of the request."""
        try:
            found = json.loads(self.request.body or b"{}")
        except ValueError:
            raise Refused(400, "The body is not JSON") from None
        if not isinstance(found, dict):
            raise Refused(400, "The body is not an object")
        return found

    def text(self, body, name):
        value = body.get(name)
        if value is not None and not isinstance(value, str):
            raise Refused(400, f"{name} is not a string")
        return value

    def answer(self, value):
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(value))

    def write_error(self, status, exc_info=None, **_):
        error = exc_info[1] if exc_info else None
        if isinstance(error, Died):
            error = Refused(500, f"The context's process did not begin: {error}")
        message = str(error) if isinstance(error, Refused) else self._reason
        if isinstance(error, Refused):
            # Clients show the words of the status line, and of some statuses nothing else.
            self.set_status(error.status, re.sub(r"[^ -~]", "?", message)[:200])
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(message)

    def log_exception(self, kind, error, trace):
        if not isinstance(error, (Refused, Died)):
            super().log_exception(kind, error, trace)


class Health(Handler):
    def get(self):
        self.finish("OK")


class ContextList(Handler):
    def get(self):
        self.answer(self.contexts.list())

    async def post(self):
        body = self.body()
        context = await self.contexts.create(self.text(body, "language"), self.text(body, "cwd"))
        self.answer(context.show())


class OneContext(Handler):
    async def delete(self, id):
        await self.contexts.remove(id)
        self.set_status(204)


class Restart(Handler):
    async def post(self, id):
        context = self.contexts.find(id)
        await context.restart()
        self.answer(context.show())


class Execute(Handler):
    def prepare(self):
        self.left = asyncio.Event()

    def on_connection_close(self):
        self.left.set()

    async def post(self):
        body = self.body()
        code, language, id = (self.text(body, name) for name in ("code", "language", "context_id"))
        env = variables(body.get("env_vars") or {})
        if code is None:
            raise Refused(400, "code is missing")
        if language and id:
            raise Refused(400, "Only one of context_id or language can be provided")
        self.set_header("Content-Type", "application/x-ndjson")
        self.set_header("X-Accel-Buffering", "no")
        try:
            context = self.contexts.find(id) if id else self.contexts.default(language)
        except Refused as refused:
            if refused.status == 404:
                raise
            # In the answer and not by its status, of which clients would show the number alone.
            await self.tell(error_line("NotSupported", str(refused), str(refused)))
            return await self.tell({"type": "end_of_execution"})
        await self.follow(context.execute(code, env, self.left))

    async def follow(self, lines):
        """To the end, whether or not somebody listens."""
        await self.flush()
        task = None
        try:
            while True:
                task = task or asyncio.ensure_future(lines.__anext__())
                await asyncio.wait({task}, timeout=KEEPALIVE_SECONDS)
                if not task.done():
                    await self.tell({"type": "keepalive"})
                    continue
                done, task = task, None
                await self.tell(done.result())
        except StopAsyncIteration:
            await self.tell({"type": "end_of_execution"})

    async def tell(self, line):
        if self.left.is_set():
            return
        try:
            self.write(encode(line))
            await self.flush()
        except StreamClosedError:
            self.left.set()


def variables(found):
    if not isinstance(found, dict):
        raise Refused(400, "env_vars is not an object")
    for name, value in found.items():
        if not VARIABLE.fullmatch(name) or not isinstance(value, str) or "\0" in value:
            raise Refused(400, f"env_vars: {name} is not a variable with a text")
    return found


async def main():
    contexts = Contexts(os.path.expanduser("~"))
    routes = [
        (r"/health", Health),
        (r"/execute", Execute),
        (r"/contexts", ContextList),
        (r"/contexts/([^/]+)", OneContext),
        (r"/contexts/([^/]+)/restart", Restart),
    ]
    application = Application(routes, contexts=contexts, log_function=lambda _: None)
    server = HTTPServer(application, max_body_size=MAX_BODY, max_buffer_size=MAX_BODY)
    server.listen(PORT, "127.0.0.1")
    try:
        # Most ask for Python first: it begins before they do.
        await contexts.default("python").start()
    except Died:
        # The first run tries again, and tells why not.
        pass
    await asyncio.Event().wait()


asyncio.run(main())
