"""Runs as the kernel of Python: ipykernel with variables of one run, and with charts and tables as data."""

import importlib
import os
import sys

# Neither this directory nor, while this is loaded, the one that it is started in: IPython adds that one later.
HERE = sys.path.pop(0)

from ipykernel.iostream import OutStream  # noqa: E402
from ipykernel.ipkernel import IPythonKernel  # noqa: E402
from ipykernel.kernelapp import IPKernelApp  # noqa: E402
from IPython.core.formatters import BaseFormatter  # noqa: E402
from traitlets import ObjectName, Unicode  # noqa: E402

# Characters that are written and not sent.
MAX_BUFFERED = 2**19
# Messages that are sent and not read.
MAX_MESSAGES = 32


class Kernel(IPythonKernel):
    # Every sandbox has a host name of its own.
    sandbox = os.uname().nodename

    async def do_execute(self, code, silent, *args, **kwargs):
        self.differ()
        env = self.get_parent("shell")["content"].get("caisson_env") or {}
        before = {name: os.environ.get(name) for name in env}
        os.environ.update(env)
        try:
            return await super().do_execute(code, silent, *args, **kwargs)
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

    def differ(self):
        """Many sandboxes may have begun as copies of this process: what is random must not be the same in all of them."""
        if self.sandbox == os.uname().nodename or self.execution_count > 1:
            return
        self.sandbox = os.uname().nodename
        for name in ("random", "numpy.random"):
            if name in sys.modules:
                sys.modules[name].seed()


def described(name):
    """By a module of `_caisson`, which is loaded when there is something to describe."""

    def call(value):
        sys.path.append(HERE)
        try:
            module = importlib.import_module(f"_caisson.{name}")
        finally:
            sys.path.remove(HERE)
        try:
            return module.describe(value)
        except Exception:
            # It is shown in its other representations.
            return None

    return call


class ChartFormatter(BaseFormatter):
    format_type = Unicode("e2b/chart")
    print_method = ObjectName("_repr_e2b_chart_")
    _return_type = dict

    def pop(self, _, default=None):
        """Whoever sets the formats of pictures takes figures out of all formatters first: not out of this one."""
        return default


class DataFormatter(BaseFormatter):
    format_type = Unicode("e2b/data")
    print_method = ObjectName("_repr_e2b_data_")
    _return_type = dict


class Stream(OutStream):
    # In seconds: whoever writes waits until there is room, however long.
    flush_timeout = 10**6

    def write(self, text):
        length = super().write(text)
        if self._buffer.tell() > MAX_BUFFERED:
            self.flush()
        return length


class App(IPKernelApp):
    def init_iopub(self, context):
        # Whoever tells waits until there is room; usually it would be dropped, and with it that a run is over.
        context.sndhwm = MAX_MESSAGES
        context.xpub_nodrop = 1
        super().init_iopub(context)


def main():
    app = App.instance(outstream_class="__main__.Stream", kernel_class=Kernel, log_level="CRITICAL")
    app.initialize()
    shell = app.shell
    shell.run_line_magic("colors", "NoColor")
    formatters = shell.display_formatter.formatters
    charts, data = ChartFormatter(parent=shell.display_formatter), DataFormatter(parent=shell.display_formatter)
    charts.for_type_by_name("matplotlib.figure", "Figure", described("charts"))
    data.for_type_by_name("pandas.core.frame", "DataFrame", described("tables"))
    data.for_type_by_name("pandas.core.series", "Series", described("tables"))
    formatters["e2b/chart"], formatters["e2b/data"] = charts, data
    app.start()


main()
