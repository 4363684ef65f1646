"""What methods do by what they are called, when nothing else is known about their object."""

from __future__ import annotations

from functools import lru_cache

from flowbook.cells.definitions import ARTIST
from flowbook.cells.effects import AXES_NAMES, CONSTRUCTS, THREADS, Effect

__all__ = ["LOGGERS", "MUTATORS_OF_CONTAINERS", "WRITERS", "of_method"]

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

_PATH_READERS = frozenset("read_text read_bytes exists is_file is_dir iterdir glob rglob stat".split())

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
LOGGERS = frozenset("critical debug error exception info log warning".split())
_LOG_SETUP = frozenset("addFilter addHandler removeFilter removeHandler setFormatter setLevel getvalue".split())
"""``getvalue`` of a stream in memory may give what was logged to it."""


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
    if name in LOGGERS:
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
