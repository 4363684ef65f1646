"""Tables: which calls change an object in place, and which touch a resource that all cells share.

What is not here is judged by what it is called and how it is used (`libraries`), and what really happens is seen when
the cell runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from flowbook.cells.definitions import (
    ARTIST,
    CLIENT,
    DATABASE,
    DRAWS_NUMBERS,
    LOGGER,
    MAPPED,
    OF_LIBRARY,
    PATCHER,
    RECORDER,
    SETTINGS,
    Definition,
)

__all__ = [
    "ATTRIBUTES",
    "AXES_NAMES",
    "CONSTRUCTS",
    "CONVENTIONAL_MODULES",
    "EVENT_LOOP",
    "LOG_RECORDS",
    "MUTATORS_OF_CONTAINERS",
    "NO_EFFECT",
    "SAME_ATTRIBUTES",
    "SERVERS",
    "SUBCLASSES",
    "SUPPRESSES",
    "THREADS",
    "WRITERS",
    "Effect",
    "named_files",
    "of_function",
    "of_method",
    "resource_of_attribute",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What a call does besides giving a value. An argument is named by its position or its keyword."""

    receiver: bool = False
    """It changes the object whose method it is."""
    deep: bool = False
    """It also changes what the changed objects hold (an optimizer steps the model that it was given)."""
    arguments: tuple[int | str, ...] = ()
    """The arguments that it changes."""
    changes: tuple[str, ...] = ()
    """Shared resources that it changes."""
    looks: tuple[str, ...] = ()
    """Shared resources that it only looks at."""
    returns_receiver: bool = False
    """The result is the object itself, or a view of it."""
    returns: tuple[int, ...] = ()
    """Arguments that the result may be, view or iterate over."""
    iterates: bool = False
    """The result is an iterator: using it moves it on."""
    holds_arguments: bool = False
    """The result keeps references to the arguments."""
    calls: bool = False
    """It calls its first argument, with the others or their items, or else with the receiver or its items."""
    configures: bool = False
    """It changes the module that it belongs to, for everyone, so that later cells may compute something else."""
    starts: bool = False
    """What it makes goes on by itself when the cell has ended, unless it is awaited there and then."""
    carries: tuple[Definition, ...] = ()
    """What happens whenever the result is used."""
    keeps_arguments: bool = False
    """Its receiver, too, holds the arguments."""
    captures: bool = False
    """It takes what the whole process puts out while it is entered."""
    linked: bool = False
    """The result can be unpacked to objects that change with each other (a figure and its axes)."""
    writes_handle: bool = False
    """It writes to its receiver, or to the argument ``file``, which may be an open file."""
    reads_file: int | None = None
    """The argument that is the path of a file that is read."""
    writes_file: int | None = None
    opens: bool = False
    """The argument behind the path says whether the file is written."""

    @property
    def touches_files(self) -> bool:
        """Whether it is known which files it reads or writes."""
        return not (self.reads_file is self.writes_file is None and "files:?" not in self.changes + self.looks)


NO_EFFECT = Effect()
CONSTRUCTS = Effect(holds_arguments=True)
"""A class is called: the new object keeps what it is given."""

CONVENTIONAL_MODULES = {
    "np": "numpy", "pd": "pandas", "plt": "matplotlib.pyplot", "mpl": "matplotlib", "sns": "seaborn",
    "tf": "tensorflow", "sp": "scipy", "sm": "statsmodels.api", "smf": "statsmodels.formula.api", "pl": "polars",
    "numpy": "numpy", "pandas": "pandas", "matplotlib": "matplotlib", "seaborn": "seaborn", "torch": "torch",
    "random": "random", "os": "os", "sys": "sys", "shutil": "shutil", "heapq": "heapq", "bisect": "bisect",
    "json": "json", "pickle": "pickle", "joblib": "joblib", "importlib": "importlib", "warnings": "warnings",
    "logging": "logging", "pylab": "pylab", "operator": "operator",
}  # fmt: skip
"""What these names mean by convention, for a cell that reads them and does not import them itself."""

AXES_NAMES = ("ax", "fig", "subfig")
"""How names of matplotlib axes and figures begin; ``df.plot()`` however draws on the current figure."""

SAME_ATTRIBUTES = frozenset("T at data dt flat iat iloc imag index loc plot real str values".split())
"""Attributes through which the object itself is changed (``df.loc[…] = v``)."""

SUPPRESSES = frozenset({"contextlib.suppress", "pytest.raises", "suppress", "raises", "assertRaises", "ExitStack"})
"""Context managers after which the code goes on although the body was left by an exception."""

EVENT_LOOP = "event loop"
"""The resource of cells that make what belongs to an event loop, or use the loop itself."""

_MUTATING = frozenset(
    # list, deque, dict, set, Counter, bytearray, OrderedDict
    "append appendleft clear difference_update discard extend extendleft insert intersection_update move_to_end pop "
    "popitem popleft remove set setdefault symmetric_difference_update update "
    # files, sockets, queues and generators, whose position or content moves on
    "aclose acquire asend athrow close enter_async_context enter_context flush get_nowait put put_nowait read1 "
    "readinto readline readlines recv release seek send "
    "sendall task_done throw truncate write writelines writerow writerows writeheader writestr "
    # databases
    "commit cursor execute executemany executescript fetchall fetchmany fetchone rollback "
    # NumPy arrays and generators
    "fill partition resize itemset setfield setflags bit_generator integers normal uniform permutation permuted "
    "shuffle standard_normal "
    "spawn random_sample randn randint seed multivariate_normal exponential poisson binomial lognormal "
    "choice choices random randbytes randrange getrandbits gauss betavariate expovariate triangular gamma beta "
    "chisquare geometric standard_exponential standard_gamma standard_t dirichlet multinomial bytes rand setstate "
    "laplace logistic logseries lognormvariate negative_binomial noncentral_chisquare normalvariate pareto "
    "paretovariate power rayleigh standard_cauchy vonmises vonmisesvariate wald weibull weibullvariate zipf "
    "hypergeometric gumbel multivariate_hypergeometric noncentral_f random_integers binomialvariate "
    "setState "
    # pandas and friends
    "get_chunk isetitem "
    # matplotlib artists
    "add_artist add_axes add_collection add_gridspec add_line add_patch add_subplot add_table annotate axhline axhspan "
    "axvline axvspan bar_label colorbar delaxes fill_between fill_betweenx grid imshow invert_xaxis invert_yaxis "
    "legend margins pcolormesh quiver savefig set_axis_off set_title set_xlabel set_xlim set_xscale "
    "set_xticklabels set_xticks set_ylabel set_ylim set_yscale set_yticklabels set_yticks set_aspect set_facecolor "
    "set_prop_cycle set_size_inches sharex sharey subplots_adjust suptitle supxlabel supylabel tick_params "
    "ticklabel_format tight_layout twinx twiny update_layout update_traces update_xaxes update_yaxes add_trace "
    "add_hline add_vline add_shape add_annotation add_layer add_to "
    # parsers of configurations, stacks of context managers, context variables and events, executors
    "read_dict read_file read_string remove_option remove_section callback pop_all push "
    "shutdown terminate "
    # functools.lru_cache: what it says depends on the calls so far
    "cache_info cache_clear "
    # images
    "alpha_composite paste putalpha putdata putpixel thumbnail "
    # logging, arguments, configuration
    "addHandler removeHandler setLevel add_argument add_handler".split()
)

SERVERS = "servers"
"""The resource of cells that start a server in the process of the notebook."""

THREADS = "threads"
"""The resource of cells that start threads, as changed, and of those that wait for some, as looked at."""

SUBCLASSES = "the subclasses of a class"
"""The resource of cells that define subclasses of other cells' classes, and of those that ask for them."""

ATTRIBUTES = {"serve_forever": SERVERS, "__subclasses__": SUBCLASSES}
"""Attributes that nothing else has, and the resource that is touched with them, as changed."""

LOG_RECORDS = "log records"
"""The resource of cells that have what is logged written somewhere, so that its order counts."""

MUTATORS_OF_CONTAINERS = frozenset(
    "append appendleft discard extend extendleft insert popleft put put_nowait setdefault".split()
)
"""Methods that nothing but a method is called, so that ``add = items.append`` is known for what it is."""

WRITERS = frozenset("write writelines writerow writerows".split())
"""The same of open files."""

_LEARNING = frozenset(
    "fit fit_transform fit_predict fit_resample fit_generator partial_fit set_params step zero_grad backward "
    "train_on_batch load_state_dict load_weights set_weights learn build_vocab train_batch fit_one_cycle fine_tune "
    "minimize apply_gradients scale_loss unscale_ log_metric log_param set_output".split()
)
"""Methods of models and optimizers: they change the object and what it was built from."""

_MUTATING_IF_DISCARDED = frozenset(
    "add sort reverse subtract rotate train eval compile build to cuda cpu half double add_module register_buffer "
    "register "
    "connect load share_memory freeze unfreeze reset reset_states set_seed add_edge add_edges_from add_node "
    "add_nodes_from add_weighted_edges_from remove_edge remove_node remove_nodes_from remove_edges_from add_cols "
    "format hide highlight_between highlight_max highlight_min highlight_null background_gradient text_gradient "
    "byteswap dispatch assign_add assign_sub assign next read register_forward_hook start stop join cancel".split()
)
"""``seen.add(x)`` as a statement changes ``seen``; ``c = a.add(b)`` makes a new object."""

_CONFIGURES = ("configure", "disable", "enable", "register", "set", "unregister")
"""How the names of functions begin that set something in their module, when nothing is done with what they give."""

_TELLING = ("add_", "remove_", "set_", "update_")
"""How the names of methods begin that change their object when nothing is done with what they give."""

_PART_OR_SELF = frozenset(
    "T diagonal ravel reshape squeeze swapaxes transpose view to_numpy get items keys values setdefault iterrows "
    "iter_rows parameters named_parameters modules children state_dict numpy detach expand permute unsqueeze "
    "memoryview getbuffer cursor groupby rolling get_group pop popitem popleft twinx twiny gca add_subplot xs "
    "subgraph edge_subgraph load execute executemany get_level_values __iter__ __getitem__ __enter__".split()
)
"""Methods whose result may share memory with the object, be a part of it, or be the object."""

_WITH_DEFAULT = frozenset({"get", "pop", "setdefault"})
"""Methods whose result may be their second argument."""

_BEGINS = frozenset("apply_async map_async starmap_async submit".split())
"""Methods of executors and pools, whose result is a future: when that is waited for, what was submitted has run."""

_CALLERS = frozenset("agg aggregate apply applymap imap map pipe starmap submit transform".split())
"""Methods that call the function they are given."""

_DRAWS_ON_CURRENT = frozenset("plot hist boxplot density scatter bar barh plot_importance plot_tree".split())
_FILE_WRITERS = frozenset(
    "to_csv to_excel to_feather to_hdf to_html to_json to_latex to_markdown to_orc to_parquet to_pickle to_stata "
    "to_xml write_csv write_html write_image write_json write_parquet save savefig save_pretrained save_weights "
    "save_model write_ipc dump_svmlight sink_parquet sink_csv to_netcdf to_zarr".split()
)
_PATH_WRITERS = frozenset(
    "write_text write_bytes cleanup mkdir rmdir unlink touch rename symlink_to hardlink_to chmod extractall".split()
)
_OF_A_TABLE = frozenset({"columns", "index", "axis", "mapper", "level", "inplace"})
"""Keywords that only the ``rename`` of a table takes, not that of a path."""

_OF_A_QUEUE = frozenset({"block", "timeout"})

_HANDLE_WRITERS = frozenset("close flush truncate write writelines writeheader writerow writerows".split())
_LOGGERS = frozenset("critical debug error exception info log warning".split())
_LOG_SETUP = frozenset("addFilter addHandler removeFilter removeHandler setFormatter setLevel getvalue".split())
"""``getvalue`` of a stream in memory may give what was logged to it."""

_FILE_NAME = re.compile(
    r"[^\s:*?<>|]+\.(?:bin|bz2|cfg|csv|dat|db|duckdb|feather|geojson|gif|gpkg|gz|h5|hdf5|html?|ini|ipynb|joblib|jpe?g|jsonl?"
    r"|keras|log|md|mp[34]|model|nc|np[yz]|onnx|orc|parquet|pdf|pickle|pkl|png|pth?|py|safetensors|shp|sqlite3?|svg|tar|tiff?"
    r"|toml|tsv|txt|wav|webp|xlsx?|xml|ya?ml|zarr|zip)",
    re.IGNORECASE,
)
"""What is the name of a file, wherever it stands."""
_READS = re.compile(
    r"(?:im|is_?)?(?:read|load|open|get|from|parse|exists|file|scan|fetch|show|display|Image|Audio|Video)"
)
_WRITES = re.compile(r"(?:im)?(?:write|save|dump|export|to_|store|create|connect)|[A-Z]")


_NO_FILES = frozenset(
    "argparse builtins click collections dataclasses datetime enum fnmatch functools importlib itertools logging "
    "operator os re requests string textwrap typer typing urllib".split()
)
"""Modules whose functions only name the files that they are told, or are in the tables."""


def named_files(path: str, method: str, constants: Iterable[object]) -> tuple[list[str], bool]:
    """The files that a call which is in no table names, and whether it may change them.

    A function of a library, which has a `path`, may unless it is called as one that reads; a `method` may if it is
    called as one that writes.
    """
    name = path.rpartition(".")[2]
    if path.partition(".")[0] in _NO_FILES:
        return [], False
    files = [f"files:{each.removeprefix('./')}" for each in constants if isinstance(each, str) and _names_a_file(each)]
    if path.startswith("pathlib."):  # that alone does nothing; what is done with it is found there
        return files, False
    return files, not _READS.match(name) if path else bool(_WRITES.match(method))


def _names_a_file(text: str) -> bool:
    return len(text) < 256 and _FILE_NAME.fullmatch(text) is not None


_PATH_READERS = frozenset("read_text read_bytes exists is_file is_dir iterdir glob rglob stat".split())


def of_method(
    name: str, *, receiver_name: str, discarded: bool, keywords: frozenset[str], positional: int = 0
) -> Effect:
    """What ``receiver_name.name(…)`` does when nothing else is known about the receiver.

    ``keywords`` are the keyword arguments whose constant value is true (``inplace=True``) and the names of all others.
    """
    if name in _DRAWS_ON_CURRENT:
        # Axes take the data as positional arguments, and a table the names of its columns as keywords.
        if receiver_name.startswith(AXES_NAMES) or positional > 1:
            return Effect(receiver=True, changes=("pyplot",), carries=(ARTIST,))
        return Effect(arguments=("ax",), changes=("pyplot",), carries=(ARTIST,))
    if name == "shuffle":
        return Effect(receiver=True, arguments=(0,))
    if name == "start" and discarded and not positional:
        return Effect(receiver=True, changes=(THREADS,))
    if name in ("join", "wait") and not positional:
        return Effect(receiver=discarded and name == "join", looks=(THREADS,))
    if name == "samples" and "seed" not in keywords:  # statistics.NormalDist
        return Effect(changes=("random",))
    if name in ("rvs", "sample") and "random_state" not in keywords:
        return Effect(changes=("numpy.random",))
    if name in _PATH_WRITERS and not keywords & _OF_A_TABLE:
        return Effect(changes=("files:?",))
    if name == "get" and not positional and keywords <= _OF_A_QUEUE:
        return Effect(receiver=True, returns_receiver=True)  # not that of a dict, which is given a key
    if name in _MUTATING and receiver_name.startswith(AXES_NAMES):
        return Effect(receiver=True, changes=("pyplot",), returns_receiver=name in _PART_OR_SELF, carries=(ARTIST,))
    return _of_method(name, discarded, "inplace" in keywords, "out" in keywords)


@lru_cache(maxsize=2048)
def _of_method(name: str, discarded: bool, inplace: bool, out: bool) -> Effect:
    if name[:1].isupper():
        return CONSTRUCTS
    if name in _PATH_READERS:
        return Effect(looks=("files:?",))
    if name in _FILE_WRITERS:
        return Effect(writes_file=0, changes=("pyplot",) if name == "savefig" else ())
    if name == "to_sql":
        return Effect(arguments=(1, "con"))
    if name in _LOGGERS:
        return Effect(looks=("logging",))
    deep = name in _LEARNING or name in ("__exit__", "writerow", "writerows", "writeheader")
    torch_in_place = name.endswith("_") and not name.endswith("__") and len(name) > 2
    told = discarded and (name in _MUTATING_IF_DISCARDED or name.startswith(_TELLING))
    adds = name.startswith("add_") and name not in ("add_prefix", "add_suffix")
    mutates = adds or deep or inplace or torch_in_place or name in _MUTATING or told
    same = (
        adds
        or name in _PART_OR_SELF
        or (mutates and (deep or torch_in_place))
        or name in ("to", "train", "eval", "cuda")
    )
    return Effect(
        receiver=mutates,
        deep=deep,
        returns_receiver=same,
        arguments=("out",) if out else (),
        returns=(1,) if name in _WITH_DEFAULT else (),
        calls=name in _CALLERS or name in _BEGINS,
        holds_arguments=name in _BEGINS,
        keeps_arguments=name in _BEGINS,
        writes_handle=name in _HANDLE_WRITERS,
        changes=("logging",) if name in _LOG_SETUP else (),
    )


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
         "copy.copy", "functools.partial"),
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
    "os.getcwd": Effect(looks=("cwd",)),
    "os.getenv": Effect(looks=("environ",)),
    "os.putenv": Effect(changes=("environ",)),
    "os.unsetenv": Effect(changes=("environ",)),
    **{f"os.{name}": Effect(changes=("files:?",)) for name in
       ("remove", "unlink", "rename", "replace", "makedirs", "mkdir", "rmdir", "removedirs", "symlink", "system",
        "popen", "truncate", "ftruncate", "write", "close", "fsync", "utime", "chmod")},
    "contextlib.closing": Effect(holds_arguments=True),
    **{f"os.{name}": Effect(looks=("files:?",)) for name in ("listdir", "stat")},
    **{f"os.{name}": Effect(looks=("files:?",), iterates=True) for name in ("scandir", "walk")},
    **{f"os.path.{name}": Effect(reads_file=0) for name in ("exists", "isfile", "isdir", "getsize", "getmtime")},
    "glob.glob": Effect(looks=("files:?",)),
    **{f"os.path.{name}": Effect(looks=("cwd",)) for name in ("abspath", "realpath", "relpath")},
    "pathlib.Path.cwd": Effect(looks=("cwd",)),
    **dict.fromkeys(("xml.etree.ElementTree.SubElement", "PIL.ImageDraw.floodfill"), _FIRST),
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
    "logging.basicConfig": Effect(changes=("logging", LOG_RECORDS)),
    "logging.StreamHandler": Effect(changes=("logging", LOG_RECORDS), holds_arguments=True),
    "logging.FileHandler": Effect(changes=("logging", LOG_RECORDS)),
    **dict.fromkeys(
        ("contextlib.redirect_stdout", "contextlib.redirect_stderr", "IPython.utils.capture.capture_output",
         "IPython.utils.io.capture_output"),
        Effect(captures=True, holds_arguments=True),
    ),
    "sys.setrecursionlimit": Effect(changes=("interpreter",), configures=True),
    "logging.getLogger": Effect(carries=(LOGGER,)),
    "logging.disable": Effect(changes=("logging",)),
    **{f"logging.{name}": Effect(looks=("logging",)) for name in sorted(_LOGGERS)},
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
    "numpy.set_printoptions": Effect(changes=("numpy.options",), configures=True),
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
    ("logging.handlers.", Effect(changes=("logging", LOG_RECORDS), holds_arguments=True)),
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

_OWN_RANDOM_STATE = frozenset(
    "random.Random random.SystemRandom numpy.random.default_rng numpy.random.Generator numpy.random.RandomState "
    "numpy.random.SeedSequence numpy.random.PCG64 numpy.random.Philox numpy.random.MT19937 numpy.random.SFC64".split()
)
_TORCH_RANDOM = frozenset(
    "rand randn randint randperm rand_like randn_like randint_like normal bernoulli multinomial poisson seed "
    "initial_seed get_rng_state set_rng_state".split()
)
_ENVIRON_READS = frozenset({"os.environ.get", "os.environ.copy", "os.environ.items", "os.environ.keys"})

_RANDOM_UNLESS_SEEDED = frozenset(
    "train_test_split ShuffleSplit StratifiedShuffleSplit RandomForestClassifier RandomForestRegressor "
    "ExtraTreesClassifier ExtraTreesRegressor KMeans MiniBatchKMeans MLPClassifier MLPRegressor SGDClassifier "
    "SGDRegressor DecisionTreeClassifier DecisionTreeRegressor GradientBoostingClassifier GradientBoostingRegressor "
    "RandomizedSearchCV TSNE GaussianMixture IsolationForest make_classification make_blobs make_regression make_moons "
    "make_circles resample rvs permutation_importance shuffle sample KFold StratifiedKFold RepeatedKFold "
    "RepeatedStratifiedKFold GroupShuffleSplit AdaBoostClassifier AdaBoostRegressor BaggingClassifier BaggingRegressor "
    "ExtraTreeClassifier ExtraTreeRegressor HistGradientBoostingClassifier HistGradientBoostingRegressor LinearSVC "
    "Perceptron PassiveAggressiveClassifier PassiveAggressiveRegressor RANSACRegressor BisectingKMeans FastICA "
    "FactorAnalysis LatentDirichletAllocation NMF TruncatedSVD SpectralClustering SpectralEmbedding MDS "
    "BayesianGaussianMixture QuantileTransformer RandomTreesEmbedding RBFSampler Nystroem GaussianRandomProjection "
    "SparseRandomProjection BernoulliRBM DummyClassifier".split()
)
"""scikit-learn's and pandas' names that draw from NumPy's global state when no ``random_state`` is given."""


_RANDOM_GRAPH = re.compile(
    r"random|erdos|gn[mp]_|barabasi|watts|powerlaw|spring_layout|shuffle|swap|louvain|asyn_lpa|stochastic|geometric"
    r"|configuration_model|waxman|maximal_independent_set|planted|partition_graph"
)
"""In the names of functions of networkx that draw from the global states unless they are given a ``seed``."""

_DRAWS = re.compile(
    r"sklearn\.(?:datasets\.make_|feature_selection\.mutual_info_|utils\.shuffle)"
    r"|scipy\.(?:stats\.(?:bootstrap|permutation_test|monte_carlo_test)|cluster\.vq\.kmeans|optimize\.(?:basinhopping|differential_evolution|dual_annealing))"
)
"""The same of functions that draw from NumPy's."""

_RANDOM_IF_SHUFFLED = frozenset({"KFold", "StratifiedKFold"})


def of_function(path: str, keywords: frozenset[str], *, discarded: bool = False) -> Effect:
    """What calling the function or class with this dotted import path does.

    ``keywords`` as for :func:`of_method`.
    """
    name = path.rpartition(".")[2]
    if path.startswith("networkx.") and _RANDOM_GRAPH.search(name) and "seed" not in keywords:
        return Effect(changes=("random", "numpy.random"))
    if _DRAWS.match(path) and not keywords & {"random_state", "rng", "seed"}:
        return Effect(changes=("numpy.random",))
    if name in _RANDOM_UNLESS_SEEDED and path not in _FUNCTIONS and not path.startswith(("random.", "numpy.random.")):
        if "random_state" in keywords or (name in _RANDOM_IF_SHUFFLED and "shuffle" not in keywords):
            return CONSTRUCTS if name[:1].isupper() else NO_EFFECT
        carries = (DRAWS_NUMBERS,) if name[:1].isupper() else ()
        return Effect(changes=("numpy.random",), holds_arguments=bool(carries), carries=carries)
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
    if path in _OWN_RANDOM_STATE:
        return NO_EFFECT
    root, _, name = path.rpartition(".")
    if root == "torch" and name in _TORCH_RANDOM:
        return Effect(changes=("torch.random",))
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
    "matplotlib.pyplot.rcParams": "pyplot",
    "matplotlib.rcParams": "pyplot",
    "pandas.options": "pandas.options",
}


def resource_of_attribute(path: str) -> str:
    """The shared resource that an attribute of a module is ('' if none)."""
    return _RESOURCE_ATTRIBUTES.get(path, "")
