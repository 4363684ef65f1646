"""What functions and classes of libraries do, by their import paths."""

from __future__ import annotations

from functools import lru_cache

from flowbook.cells.definitions import (
    ARTIST,
    CLIENT,
    DATABASE,
    LOGGER,
    MAPPED,
    OF_LIBRARY,
    PATCHER,
    RECORDER,
    SETTINGS,
)
from flowbook.cells.effects import CONSTRUCTS, EVENT_LOOP, LOG_RECORDS, NO_EFFECT, PROCESSES, Effect
from flowbook.cells.known_methods import LOGGERS
from flowbook.cells.random_numbers import of_drawing

__all__ = ["of_function", "resource_of_attribute"]

_CONFIGURES = ("configure", "disable", "enable", "register", "set", "unregister")
"""How the names of functions begin that set something in their module, when nothing is done with what they give."""

_FIRST = Effect(arguments=(0,))
_ITERATES_OVER = Effect(holds_arguments=True, returns=(0, 1), iterates=True)
_FUNCTIONS: dict[str, Effect] = {
    "builtins.next": Effect(arguments=(0,), returns=(0,)),
    "builtins.anext": _FIRST,
    "builtins.setattr": _FIRST,
    "builtins.delattr": _FIRST,
    "builtins.getattr": Effect(returns=(0,)),
    "builtins.vars": Effect(returns=(0,)),
    "builtins.iter": Effect(returns=(0,), iterates=True),
    "builtins.enumerate": Effect(returns=(0,), iterates=True),
    "builtins.reversed": Effect(returns=(0,), iterates=True),
    "builtins.memoryview": Effect(returns=(0,)),
    "builtins.zip": Effect(returns=(0, 1, 2, 3, 4), iterates=True),
    "builtins.map": Effect(returns=(1, 2, 3), iterates=True, calls=True),
    "builtins.filter": Effect(returns=(1,), iterates=True, calls=True),
    "builtins.min": Effect(returns=(0, 1, 2)),
    "builtins.max": Effect(returns=(0, 1, 2)),
    **dict.fromkeys(
        ("builtins.list", "builtins.tuple", "builtins.dict", "builtins.set", "builtins.sorted", "collections.deque",
         "copy.copy", "functools.partial", "collections.defaultdict", "numpy.vectorize", "numpy.frompyfunc"),
        Effect(holds_arguments=True),
    ),
    **{f"sklearn.{name}": Effect(holds_arguments=True) for name in
       ("base.clone", "pipeline.make_pipeline", "pipeline.make_union", "compose.make_column_transformer")},
    **{f"itertools.{name}": _ITERATES_OVER for name in
       ("accumulate", "batched", "chain", "chain.from_iterable", "combinations", "combinations_with_replacement",
        "compress", "cycle", "dropwhile", "filterfalse", "groupby", "islice", "pairwise", "permutations", "product",
        "starmap", "takewhile", "zip_longest", "count", "repeat")},
    **dict.fromkeys(("csv.DictReader", "csv.reader"), _ITERATES_OVER),
    **dict.fromkeys(("csv.DictWriter",), Effect(holds_arguments=True)),
    "re.finditer": Effect(iterates=True),
    "glob.iglob": Effect(looks=("files:?",), iterates=True),
    "functools.reduce": Effect(calls=True),
    "dataclasses.replace": Effect(returns=(0,)),
    **{f"networkx.{name}": _FIRST for name in
       ("set_node_attributes", "set_edge_attributes", "add_path", "add_cycle", "add_star", "freeze")},
    **{f"{module}.open": Effect(reads_file=0, opens=True, iterates=True) for module in
       ("builtins", "io", "codecs", "gzip", "bz2", "lzma", "tarfile")},
    **dict.fromkeys(("zipfile.ZipFile", "tarfile.TarFile", "h5py.File", "gzip.GzipFile"),
                    Effect(reads_file=0, opens=True)),
    **dict.fromkeys(("numpy.memmap", "numpy.lib.format.open_memmap", "shelve.open", "dbm.open",
                     "pandas.HDFStore", "netCDF4.Dataset"), Effect(writes_file=0, carries=(MAPPED,))),
    "sqlite3.connect": Effect(writes_file=0, carries=(DATABASE,)),
    **dict.fromkeys(
        ("sqlalchemy.create_engine", "sqlmodel.create_engine", "duckdb.connect", "psycopg.connect", "psycopg2.connect",
         "pymysql.connect", "mysql.connector.connect", "pyodbc.connect", "oracledb.connect", "redis.Redis",
         "pymongo.MongoClient", "peewee.SqliteDatabase"),
        Effect(holds_arguments=True, carries=(DATABASE, OF_LIBRARY)),
    ),
    "os.open": Effect(changes=("files:?",)),
    "builtins.input": Effect(changes=("stdin",)),
    "random.shuffle": Effect(arguments=(0,), changes=("random",)),
    "numpy.random.shuffle": Effect(arguments=(0,), changes=("numpy.random",)),
    **{f"numpy.{name}": _FIRST for name in ("put", "place", "copyto", "putmask", "put_along_axis", "fill_diagonal")},
    **{f"numpy.{name}": Effect(returns=(0,)) for name in
       ("asarray", "asanyarray", "atleast_1d", "atleast_2d", "broadcast_to", "diagonal", "ravel", "reshape", "squeeze",
        "swapaxes", "transpose", "expand_dims", "moveaxis", "split", "array_split", "ascontiguousarray")},
    "numpy.nditer": Effect(returns=(0,)),
    **{f"heapq.{name}": _FIRST for name in ("heapify", "heappop", "heappush", "heappushpop", "heapreplace")},
    **{f"bisect.{name}": _FIRST for name in ("insort", "insort_left", "insort_right")},
    **{f"operator.{name}": _FIRST for name in
       ("setitem", "delitem", "iadd", "iand", "iconcat", "ifloordiv", "ilshift", "imatmul", "imod", "imul", "ior",
        "ipow", "irshift", "isub", "itruediv", "ixor")},
    "torch.nn.utils.clip_grad_norm_": _FIRST,
    **{f"numpy.{name}.at": _FIRST for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum")},
    "torch.from_numpy": Effect(returns=(0,)),
    "torch.as_tensor": Effect(returns=(0,)),
    "torch.save": Effect(writes_file=1),
    "torch.load": Effect(reads_file=0),
    "json.dump": Effect(arguments=(1,)),
    "pickle.dump": Effect(arguments=(1,)),
    "pickle.load": _FIRST,
    "json.load": _FIRST,
    "joblib.dump": Effect(writes_file=1),
    "joblib.load": Effect(reads_file=0),
    "numpy.load": Effect(reads_file=0),
    "numpy.loadtxt": Effect(reads_file=0),
    "numpy.genfromtxt": Effect(reads_file=0),
    "numpy.fromfile": Effect(reads_file=0),
    **{f"numpy.{name}": Effect(writes_file=0) for name in ("save", "savetxt", "savez", "savez_compressed")},
    "pandas.read_sql": Effect(arguments=(1, "con")),
    "pandas.read_sql_query": Effect(arguments=(1, "con")),
    "pandas.read_sql_table": Effect(arguments=(1, "con")),
    "pandas.ExcelWriter": Effect(writes_file=0),
    "os.chdir": Effect(changes=("cwd",)),
    "contextlib.chdir": Effect(changes=("cwd",)),
    "os.getcwd": Effect(looks=("cwd",)),
    "os.getenv": Effect(looks=("environ",)),
    "os.putenv": Effect(changes=("environ",)),
    "os.unsetenv": Effect(changes=("environ",)),
    **{f"os.{name}": Effect(changes=("files:?",)) for name in
       ("rename", "replace", "makedirs", "mkdir", "rmdir", "removedirs", "symlink", "system",
        "popen", "truncate", "ftruncate", "write", "close", "fsync", "utime", "chmod")},
    **{f"os.{name}": Effect(writes_file=0) for name in ("remove", "unlink")},
    "contextlib.closing": Effect(holds_arguments=True),
    **{f"os.{name}": Effect(looks=("files:?",)) for name in ("listdir", "stat")},
    **{f"os.{name}": Effect(looks=("files:?",), iterates=True) for name in ("scandir", "walk")},
    **{f"os.path.{name}": Effect(reads_file=0) for name in ("exists", "isfile", "isdir", "getsize", "getmtime")},
    "glob.glob": Effect(looks=("files:?",)),
    **{f"os.path.{name}": Effect(looks=("cwd",)) for name in ("abspath", "realpath", "relpath")},
    "pathlib.Path.cwd": Effect(looks=("cwd",)),
    **dict.fromkeys(("xml.etree.ElementTree.SubElement", "lxml.etree.SubElement", "PIL.ImageDraw.floodfill"), _FIRST),
    "struct.pack_into": Effect(arguments=(1,)),
    **dict.fromkeys(("socket.socketpair", "multiprocessing.Pipe"), Effect(linked=True, carries=(OF_LIBRARY,))),
    "os.read": Effect(changes=("files:?",)),
    "logging.addLevelName": Effect(changes=("logging",)),
    "time.tzset": Effect(changes=("environ", "locale"), configures=True),
    "networkx.relabel_nodes": _FIRST,
    "statistics.NormalDist.samples": Effect(changes=("random",)),
    "dotenv.load_dotenv": Effect(changes=("environ",)),
    "importlib.reload": Effect(changes=("modules",), arguments=(0,), configures=True),
    "importlib.import_module": Effect(changes=("modules",)),
    "locale.setlocale": Effect(changes=("locale",)),
    "warnings.filterwarnings": Effect(changes=("warnings",)),
    "warnings.simplefilter": Effect(changes=("warnings",)),
    "warnings.resetwarnings": Effect(changes=("warnings",), configures=True),
    "warnings.catch_warnings": Effect(changes=("warnings",)),
    "warnings.warn": Effect(looks=("warnings",)),
    **{f"asyncio.{name}": Effect(starts=True, returns=(0,)) for name in
       ("create_task", "ensure_future", "gather", "shield", "get_event_loop", "get_running_loop", "current_task",
        "all_tasks", "run_coroutine_threadsafe")},
    **{name: Effect(looks=(EVENT_LOOP,), holds_arguments=True) for name in
       ("asyncio.Lock", "asyncio.Event", "asyncio.Condition", "asyncio.Semaphore", "asyncio.BoundedSemaphore",
        "asyncio.Barrier", "asyncio.Queue", "asyncio.LifoQueue", "asyncio.PriorityQueue", "asyncio.Future",
        "asyncio.Task", "aiohttp.ClientSession", "aiohttp.TCPConnector")},
    "logging.basicConfig": Effect(changes=("logging", LOG_RECORDS), writes_file=0),
    "logging.StreamHandler": Effect(changes=("logging", LOG_RECORDS), holds_arguments=True),
    "logging.FileHandler": Effect(changes=("logging", LOG_RECORDS), writes_file=0),
    **dict.fromkeys(
        ("contextlib.redirect_stdout", "contextlib.redirect_stderr", "IPython.utils.capture.capture_output",
         "IPython.utils.io.capture_output", "click.testing.CliRunner", "typer.testing.CliRunner",
         "unittest.TextTestRunner", "unittest.main"),
        Effect(captures=True, holds_arguments=True),
    ),
    **dict.fromkeys(
        ("multiprocessing.Pool", "multiprocessing.pool.Pool", "multiprocessing.Process", "multiprocessing.get_context",
         "concurrent.futures.ProcessPoolExecutor", "tqdm.contrib.concurrent.process_map"),
        Effect(looks=(PROCESSES,), holds_arguments=True, carries=(OF_LIBRARY,)),
    ),
    "sys.setrecursionlimit": Effect(changes=("interpreter",), configures=True),
    "logging.getLogger": Effect(carries=(LOGGER,)),
    "logging.disable": Effect(changes=("logging",)),
    **{f"logging.{name}": Effect(looks=("logging",)) for name in sorted(LOGGERS)},
    "decimal.getcontext": Effect(changes=("decimal",), configures=True, carries=(SETTINGS,)),
    "decimal.setcontext": Effect(changes=("decimal",), configures=True),
    **{f"{module}.{name}": Effect(changes=("pyplot",), writes_file=0) for module in ("matplotlib.pyplot", "pylab")
       for name in ("savefig", "imsave")},
    **{f"{module}.imread": Effect(reads_file=0) for module in ("matplotlib.pyplot", "pylab", "matplotlib.image")},
    "matplotlib.image.imsave": Effect(writes_file=0),
    "matplotlib.pyplot.subplots": Effect(changes=("pyplot",), linked=True, carries=(ARTIST,)),
    "matplotlib.pyplot.subplot_mosaic": Effect(changes=("pyplot",), linked=True, carries=(ARTIST,)),
    "builtins.print": Effect(writes_handle=True),
    "csv.writer": Effect(holds_arguments=True),
    "torch.manual_seed": Effect(changes=("torch.random",)),
    "torch.set_default_dtype": Effect(changes=("torch.defaults",), configures=True),
    "torch.set_default_device": Effect(changes=("torch.defaults",), configures=True),
    "torch.use_deterministic_algorithms": Effect(changes=("torch.defaults",), configures=True),
    "tensorflow.random.set_seed": Effect(changes=("tensorflow.random",)),
    "pandas.set_option": Effect(changes=("pandas.options",), configures=True),
    "pandas.reset_option": Effect(changes=("pandas.options",), configures=True),
    "pandas.option_context": Effect(changes=("pandas.options",), configures=True),
    "numpy.set_printoptions": Effect(changes=("numpy.options",), configures=True),
    "numpy.printoptions": Effect(changes=("numpy.printoptions",), configures=True),
    "dask.config.set": Effect(changes=("library:dask",), configures=True),
    "polars.Config": Effect(changes=("library:polars",), configures=True),
    "os.umask": Effect(changes=("interpreter",), configures=True),
    "numpy.seterr": Effect(changes=("numpy.options",), configures=True),
    "sklearn.set_config": Effect(changes=("sklearn.options",), configures=True),
}  # fmt: skip

_PREFIXES: tuple[tuple[str, Effect], ...] = (
    ("random.", Effect(changes=("random",))),
    ("numpy.random.", Effect(changes=("numpy.random",))),
    ("matplotlib.", Effect(changes=("pyplot",), carries=(ARTIST,))),
    ("pylab.", Effect(changes=("pyplot",), carries=(ARTIST,))),
    ("seaborn.", Effect(changes=("pyplot",), arguments=("ax",), carries=(ARTIST,))),
    ("sys.path.", Effect(changes=("sys.path",))),
    ("sys.modules.", Effect(changes=("modules",))),
    ("os.environ.", Effect(changes=("environ",))),
    ("logging.handlers.", Effect(changes=("logging", LOG_RECORDS), writes_file=0, holds_arguments=True)),
    *(
        (f"{client}.", Effect(looks=("network",), holds_arguments=True, carries=(CLIENT,)))
        for client in (
            "urllib.request",
            "http.client",
            "xmlrpc.client",
            "socket",
            "requests",
            "httpx",
            "aiohttp",
            "websockets",
        )
    ),
    ("unittest.mock.patch", Effect(holds_arguments=True, carries=(PATCHER,))),
    ("shutil.", Effect(changes=("files:?",))),
    ("subprocess.", Effect(changes=("files:?",), looks=("cwd", "environ"))),
    ("pandas.read_", Effect(reads_file=0)),
    ("polars.read_", Effect(reads_file=0)),
    ("polars.scan_", Effect(reads_file=0)),
)

_ENVIRON_READS = frozenset({"os.environ.get", "os.environ.copy", "os.environ.items", "os.environ.keys"})


def of_function(path: str, keywords: frozenset[str], *, discarded: bool = False) -> Effect:
    """What calling the function or class with this dotted import path does.

    ``keywords`` as for `known_methods.of_method`.
    """
    name = path.rpartition(".")[2]
    if (drawing := of_drawing(path, keywords)) is not None:
        return drawing
    if path.startswith("pandas.read_") and keywords & {"chunksize", "iterator"}:
        return Effect(reads_file=0, iterates=True)
    if path in ("rich.console.Console", "rich.get_console") and keywords & {"file", "record"}:
        return Effect(holds_arguments=True, carries=(RECORDER,))
    effect = _of_function(path, "ax" in keywords, "out" in keywords)
    if effect is NO_EFFECT and discarded and name.startswith(_CONFIGURES) and not path.startswith("builtins."):
        return Effect(configures=True)
    return effect


@lru_cache(maxsize=2048)
def _of_function(path: str, has_axes: bool, has_out: bool) -> Effect:
    if path in _FUNCTIONS:
        return _FUNCTIONS[path]
    if path in _ENVIRON_READS:
        return Effect(looks=("environ",))
    name = path.rpartition(".")[2]
    for prefix, effect in _PREFIXES:
        if path.startswith(prefix):
            return effect
    if name[:1].isupper():
        return CONSTRUCTS
    if has_out:
        return Effect(arguments=("out",))
    return Effect(arguments=("ax",)) if has_axes else NO_EFFECT


_RESOURCE_ATTRIBUTES = {
    "os.environ": "environ",
    "sys.path": "sys.path",
    "sys.modules": "modules",
    "sys.stdout": "stdout",
    "sys.stderr": "stdout",
    "matplotlib.pyplot.rcParams": "pyplot",
    "matplotlib.rcParams": "pyplot",
    "pandas.options": "pandas.options",
}


def resource_of_attribute(path: str) -> str:
    """The shared resource that an attribute of a module is ('' if none)."""
    return _RESOURCE_ATTRIBUTES.get(path, "")
