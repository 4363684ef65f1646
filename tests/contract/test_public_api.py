"""The names, parameters and meanings that code written for Prefect 3 counts on, module by module."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

SYMBOLS: dict[str, str] = {
    "flowbook": "Flow State Task allow_failure deploy flow get_run_logger pause_flow_run quote resume_flow_run serve "
    "tags task transaction unmapped",
    "flowbook.annotations": "allow_failure quote unmapped",
    "flowbook.artifacts": "Artifact create_image_artifact create_link_artifact create_markdown "
    "create_markdown_artifact create_progress_artifact create_table_artifact update_progress_artifact",
    "flowbook.cache_policies": "CachePolicy DEFAULT FLOW_PARAMETERS INPUTS NONE NO_CACHE RUN_ID TASK_SOURCE",
    "flowbook.concurrency.asyncio": "concurrency rate_limit",
    "flowbook.concurrency.sync": "concurrency rate_limit",
    "flowbook.context": "tags",
    "flowbook.deployments": "Deployment deploy run_deployment serve",
    "flowbook.flow_runs": "cancel_flow_run pause_flow_run resume_flow_run",
    "flowbook.flows": "Flow flow load_flow_from_entrypoint",
    "flowbook.futures": "Future FutureList PrefectFuture as_completed wait",
    "flowbook.input": "RunInput",
    "flowbook.logging": "disable_run_logger get_run_logger",
    "flowbook.results": "MissingResult ResultPersistor ResultStore cache_statistics",
    "flowbook.runtime": "deployment flow_run task_run",
    "flowbook.serializers": "CompressedSerializer JSONSerializer PickleSerializer Serializer",
    "flowbook.states": "AwaitingRetry Cancelled Cancelling Completed Crashed Failed Late Paused Pending Retrying "
    "Running Scheduled State StateType",
    "flowbook.task_runners": "ConcurrentTaskRunner DaskTaskRunner ProcessPoolTaskRunner SequentialTaskRunner "
    "ThreadPoolTaskRunner",
    "flowbook.tasks": "Task exponential_backoff task task_input_hash",
    "flowbook.testing": "FakeClock flowbook_test_harness prefect_test_harness",
    "flowbook.transactions": "Transaction get_transaction transaction",
}

OPTIONS: dict[str, str] = {
    "flowbook.tasks:task": "name description tags version task_run_name retries retry_delay_seconds "
    "retry_jitter_factor retry_condition_fn timeout_seconds log_prints cache_policy cache_key_fn cache_expiration "
    "refresh_cache persist_result result_serializer result_storage result_storage_key cache_result_in_memory "
    "on_running "
    "on_completion on_failure on_commit on_rollback viz_return_value",
    "flowbook.flows:flow": "name description version flow_run_name retries retry_delay_seconds timeout_seconds "
    "task_runner validate_parameters log_prints persist_result result_storage result_serializer "
    "cache_result_in_memory on_completion on_failure on_cancellation on_crashed on_running",
}

SCHEDULING = "cron interval rrule schedule schedules timezone"
DEPLOYING = f"{SCHEDULING} parameters description tags version paused concurrency_limit"

PARAMETERS: dict[str, str] = {
    "flowbook.deployments:Deployment.build_from_flow": f"flow name {DEPLOYING} work_pool_name work_queue_name apply",
    "flowbook.deployments:deploy": "deployments work_pool_name",
    "flowbook.deployments:run_deployment": "name parameters scheduled_time flow_run_name timeout poll_interval tags "
    "idempotency_key work_queue_name as_subflow",
    "flowbook.deployments:serve": "deployments pause_on_shutdown print_starting_message limit",
    "flowbook.flows:Flow.deploy": f"name work_pool_name {DEPLOYING} work_queue_name job_variables image build push",
    "flowbook.flows:Flow.serve": f"name {DEPLOYING} limit pause_on_shutdown print_starting_message",
    "flowbook.flows:Flow.to_deployment": f"name {DEPLOYING} work_pool_name work_queue_name job_variables",
    "flowbook.artifacts:create_image_artifact": "image_url key description",
    "flowbook.artifacts:create_link_artifact": "link link_text key description",
    "flowbook.artifacts:create_markdown_artifact": "markdown key description",
    "flowbook.artifacts:create_progress_artifact": "progress key description",
    "flowbook.artifacts:create_table_artifact": "table key description",
    "flowbook.artifacts:update_progress_artifact": "artifact_id progress description",
    "flowbook.concurrency.asyncio:concurrency": "names occupy timeout_seconds lease_duration strict",
    "flowbook.concurrency.asyncio:rate_limit": "names occupy timeout_seconds strict",
    "flowbook.concurrency.sync:concurrency": "names occupy timeout_seconds lease_duration strict",
    "flowbook.concurrency.sync:rate_limit": "names occupy timeout_seconds strict",
    "flowbook.flow_runs:pause_flow_run": "wait_for_input timeout poll_interval key",
    "flowbook.flow_runs:resume_flow_run": "flow_run_id run_input",
    "flowbook.flows:Flow.from_source": "source entrypoint",
    "flowbook.futures:Future.result": "timeout raise_on_failure",
    "flowbook.futures:Future.wait": "timeout",
    "flowbook.futures:as_completed": "futures timeout",
    "flowbook.futures:wait": "futures timeout",
    "flowbook.tasks:Task.map": "args wait_for return_state kwargs",
    "flowbook.tasks:Task.submit": "args wait_for return_state kwargs",
    "flowbook.tasks:exponential_backoff": "backoff_factor",
    "flowbook.tasks:task_input_hash": "context arguments",
    "flowbook.transactions:transaction": "key store overwrite",
}

QUESTIONS = "cancelled cancelling completed crashed failed final paused pending running scheduled"


def found(path: str) -> Any:
    module, _, name = path.partition(":")
    value: Any = importlib.import_module(module)
    for part in name.split(".") if name else ():
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("module", SYMBOLS)
def test_symbols_are_there_and_listed(module: str) -> None:
    home = found(module)
    missing = [name for name in SYMBOLS[module].split() if not hasattr(home, name)]
    assert missing == []
    assert set(SYMBOLS[module].split()) <= set(home.__all__)


@pytest.mark.parametrize("decorator", OPTIONS)
def test_decorators_take_these_options_and_show_them_to_editors(decorator: str) -> None:
    from typing import get_overloads

    take = found(decorator)
    plain = take if inspect.isfunction(take) else type(take).__call__
    (with_options,) = [o for o in get_overloads(plain) if "name" in inspect.signature(o).parameters]
    assert set(OPTIONS[decorator].split()) <= set(inspect.signature(with_options).parameters)
    made = take(**dict.fromkeys(()))(lambda: 1)
    assert {option for option in OPTIONS[decorator].split() if not hasattr(made.options, option)} == set()


@pytest.mark.parametrize("function", PARAMETERS)
def test_functions_take_these_parameters(function: str) -> None:
    assert set(PARAMETERS[function].split()) <= set(inspect.signature(found(function)).parameters)


@pytest.mark.parametrize("method", ["serve", "deploy", "to_deployment"])
def test_every_option_that_is_shown_is_taken(method: str) -> None:
    from flowbook import flow
    from flowbook.errors import UsageError

    @flow
    def shown() -> None: ...

    names = [*inspect.signature(getattr(shown, method)).parameters][1:]
    with pytest.raises(UsageError, match="has no option 'nothing_like_it'"):
        getattr(shown, method)("d", **dict.fromkeys(set(names) - {"pause_on_shutdown"}), nothing_like_it=1)


@pytest.mark.parametrize("question", QUESTIONS.split())
def test_states_can_be_asked(question: str) -> None:
    state = found("flowbook.states:Running")()
    assert getattr(state, f"is_{question}")() is (question == "running")


def test_old_names_are_the_new_ones() -> None:
    runners = found("flowbook.task_runners")
    assert runners.ConcurrentTaskRunner is runners.ThreadPoolTaskRunner
    assert found("flowbook.futures:PrefectFuture") is found("flowbook.futures:Future")
    assert found("flowbook.artifacts:create_markdown") is found("flowbook.artifacts:create_markdown_artifact")
    assert found("flowbook.cache_policies:NONE") is found("flowbook.cache_policies:NO_CACHE")
