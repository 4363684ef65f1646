"""The code of tutorials, unchanged but for the import: what a reader pastes must run."""

from __future__ import annotations

import importlib.util
import logging
import sqlite3
import sys
import threading
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import requests
import sqlalchemy
from click.testing import CliRunner
from tests.contract.conftest import Refused
from tests.waiting import WITHIN

from flowbook.cli.root import root
from flowbook.runs import find_run, recent_runs, run_view
from flowbook.testing import Harness

if TYPE_CHECKING:
    from tests.contract.conftest import Internet, Request, Snippets

API = "https://api.example.com"


def edges() -> set[tuple[str, str]]:
    """Which task run of the last flow run takes from which, by their names."""
    nodes = run_view("last").nodes
    return {(nodes[up].name, node.name) for node in nodes.values() for up in node.upstream}


def said() -> list[str]:
    return [line.message for line in run_view("last").logs]


# --- "How to schedule and orchestrate multi-step workflows" -----------------------------------------------------------

ORDERS = [
    {"ID": 1, "Customer_ID": 1, " Revenue": "10.5", "Created At": "2024-01-15"},
    {"ID": 2, "Customer_ID": 2, " Revenue": "20", "Created At": "2024-01-16"},
    {"ID": 2, "Customer_ID": 2, " Revenue": "20", "Created At": "2024-01-16"},
]
CUSTOMERS = [{"ID": 1, "Name": "Ada", "Region": "North"}, {"ID": 2, "Name": "Grace", "Region": "South"}]
PRODUCTS = [{"id": 1, "product": "tea"}, {"id": 2, "product": "cake"}]


@pytest.fixture
def shop(internet: Internet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Internet:
    """The shop whose sales are reported, at the address and with the key in the environment."""

    def protected(answer: Any) -> Any:
        def check(request: Request) -> Any:
            if request.headers["Authorization"] != "Bearer secret":
                raise Refused(401)
            return {"results": answer}

        return check

    for name, answer in (("orders", ORDERS), ("customers", CUSTOMERS), ("products", PRODUCTS)):
        internet.services[f"{API}/{name}"] = protected(answer)
    monkeypatch.setenv("API_URL", API)
    monkeypatch.setenv("API_KEY", "secret")
    monkeypatch.chdir(tmp_path)
    return internet


@pytest.fixture
def guide(shop: Internet, snippets: Snippets) -> dict[str, Any]:
    """What the first steps of the tutorial define."""
    return vars(snippets.run("guide"))


def table(path: str, name: str) -> pd.DataFrame:
    with closing(sqlite3.connect(path)) as connection:
        return pd.read_sql(f"SELECT * FROM {name}", connection)


def test_a_daily_sales_report(shop: Internet, snippets: Snippets, capsys: pytest.CaptureFixture[str]) -> None:
    script = snippets.run("guide", main=True)
    assert script.result == {"status": "success", "rows": 2}
    assert capsys.readouterr().out == "{'status': 'success', 'rows': 2}\n"
    assert edges() == {
        ("extract_orders", "transform_data"),
        ("extract_customers", "transform_data"),
        ("transform_data", "load_to_database"),
        ("transform_data", "generate_report"),
        ("generate_report", "send_email_report"),
    }
    assert said() == [
        "Extracted 3 orders",
        "Extracted 2 customers",
        "Transformed: 2 rows, 6 columns",
        "Loaded 2 rows to reports.db:daily_orders",
        "Report: 2 regions, 2 days",
        "Email sent to 1 recipients: Daily Report: 2 orders, $30.50 revenue",
        "Pipeline completed: 2 records processed",
    ]
    run = find_run("last")
    assert (run.flow, run.parameters["days"], run.parameters["api_key"]) == ("daily-sales-report", 7, None)
    assert table("reports.db", "daily_orders")["revenue"].tolist() == [10.5, 20.0]
    assert list(shop.requests[0].parameters) == ["since"]


def test_an_api_that_fails_is_asked_again(harness: Harness, shop: Internet, guide: dict[str, Any]) -> None:
    answer, failures = shop.services[f"{API}/orders"], iter([503, 500])

    def flaky(request: Request) -> Any:
        for status in failures:
            raise Refused(status)
        return answer(request)

    shop.services[f"{API}/orders"] = flaky
    assert guide["daily_sales_report"]() == {"status": "success", "rows": 2}
    assert harness.delays("extract_orders") == [10, 10]
    assert harness.attempts("extract_customers") == 1


def test_sources_in_parallel(shop: Internet, snippets: Snippets, guide: dict[str, Any]) -> None:
    together = threading.Barrier(3)
    for name in ("orders", "customers", "products"):

        def wait_for_all(request: Request, answer: Any = shop.services[f"{API}/{name}"]) -> Any:
            together.wait(WITHIN)
            return answer(request)

        shop.services[f"{API}/{name}"] = wait_for_all

    @guide["task"]
    def extract_products(api_url, api_key):  # type: ignore[no-untyped-def]
        response = requests.get(f"{api_url}/products", headers={"Authorization": f"Bearer {api_key}"}, timeout=30)
        return pd.DataFrame(response.json()["results"])

    @guide["task"]
    def merge_all_sources(orders, customers, products):  # type: ignore[no-untyped-def]
        combined = guide["transform_data"].fn(orders, customers)
        return combined.merge(products, on="id", how="left")

    given = {**guide, "extract_products": extract_products, "merge_all_sources": merge_all_sources}
    snippets.run("guide_parallel", **given).multi_source_pipeline()
    assert said()[-1] == "Parallel pipeline complete: 2 rows"
    assert {("extract_orders", "merge_all_sources"), ("merge_all_sources", "load_to_database")} <= edges()
    assert table("warehouse.db", "combined")["product"].tolist() == ["tea", "cake"]


def test_increasing_delays_with_jitter(
    harness: Harness, shop: Internet, snippets: Snippets, guide: dict[str, Any]
) -> None:
    fetch = snippets.run("guide_retries", **guide).fetch_external_data
    statuses = iter([503, 502, 429])

    def flaky(request: Request) -> Any:
        for status in statuses:
            raise Refused(status)
        return {"status": "ok"}

    shop.services[f"{API}/data"] = flaky
    assert fetch(f"{API}/data", headers={}) == {"status": "ok"}
    delays = harness.delays("fetch_external_data")
    assert [low <= slept <= 1.5 * low for low, slept in zip([10, 30, 60], delays, strict=True)] == [True] * 3


@pytest.fixture
def monitored(snippets: Snippets, guide: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    if importlib.util.find_spec("flowbook.blocks") is None:  # the tutorial imports a class that it does not use
        notifications = ModuleType("flowbook.blocks.notifications")
        notifications.SlackWebhook = object  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "flowbook.blocks", ModuleType("flowbook.blocks"))
        monkeypatch.setitem(sys.modules, "flowbook.blocks.notifications", notifications)
    monkeypatch.setenv("SLACK_WEBHOOK", "https://hooks.slack.com/T/B/x")
    return snippets.run("guide_errors", **guide).monitored_pipeline


def test_a_success_is_notified(shop: Internet, monitored: Any) -> None:
    shop.services["https://hooks.slack.com/T/B/x"] = "ok"
    monitored()
    assert shop.requests[-1].body == {"text": "[OK] Pipeline complete: 2 rows processed"}
    assert find_run("last").state_name == "Completed"


def test_a_failure_is_notified_and_raised_again(harness: Harness, shop: Internet, monitored: Any) -> None:
    shop.services["https://hooks.slack.com/T/B/x"] = "ok"
    del shop.services[f"{API}/customers"]
    with pytest.raises(requests.HTTPError, match="404 Client Error"):
        monitored()
    assert shop.requests[-1].body["text"].startswith("[FAIL] Pipeline failed: 404 Client Error")
    assert harness.attempts("extract_customers") == 4
    assert find_run("last").state_name == "Failed"
    assert run_view("last").counts() == {"succeeded": 2, "failed": 1}


def test_a_flow_with_parameters(shop: Internet, snippets: Snippets, guide: dict[str, Any]) -> None:
    def export_to_excel(df: pd.DataFrame, path: str) -> None:
        df.to_excel(path, index=False)

    flexible_report = snippets.run("guide_parameters", **guide, export_to_excel=export_to_excel).flexible_report
    assert flexible_report() == {"rows": 2, "region": None, "days": 30}
    assert len(table("reports.db", "orders")) == 2

    shop.services[f"{API}/orders"] = {"results": [{**order, "region": "North"} for order in ORDERS[:1]] + ORDERS[1:]}
    assert flexible_report(days="7", region="North", output_format="excel") == {
        "rows": 1,
        "region": "North",
        "days": 7,
    }
    assert "Filtered to North: 1 rows" in said()
    assert pd.read_excel("report_7d.xlsx")["name"].tolist() == ["Ada"]


def test_sub_flows_for_complex_pipelines(snippets: Snippets, guide: dict[str, Any]) -> None:
    snippets.run("guide_subflows", **guide).master_pipeline()
    assert edges() == {
        ("extract-all", "transform-and-load"),
        ("transform-and-load", "generate_report"),
        ("generate_report", "send_email_report"),
    }
    assert len(recent_runs()) == 1, "sub-flows are parts of their parent"
    assert len(table("reports.db", "combined")) == 2


def test_what_was_cron(snippets: Snippets, guide: dict[str, Any]) -> None:
    snippets.run("guide_after_cron", **guide, api_url=API, api_key="secret").daily_pipeline()
    assert find_run("last").state_name == "Completed"
    assert ("extract_orders", "transform_data") in edges()
    assert len(table("reports.db", "orders")) == 2


# --- "Workflow orchestration" -----------------------------------------------------------------------------------------


def test_the_quick_example(internet: Internet, snippets: Snippets, capsys: pytest.CaptureFixture[str]) -> None:
    internet.services["https://httpbin.org/json"] = [{"active": True}, {"active": False}]
    snippets.run("quick_example", main=True)
    told = capsys.readouterr()
    assert told.out == "[{'active': True}]\n"
    name = find_run("last").name
    story = [
        f"| INFO    | flowbook.engine - Created flow run {name!r} for flow 'My Pipeline'",
        "| INFO    | Task run 'fetch_data' - Finished in state Completed()",
        "| INFO    | Task run 'process' - Finished in state Completed()",
        f"| INFO    | Flow run {name!r} - Finished in state Completed()",
    ]
    assert [line.partition(" ")[2] for line in told.err.splitlines()] == story
    assert edges() == {("fetch_data", "process")}


def test_retries_and_timeouts(
    harness: Harness, snippets: Snippets, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draws = iter([0.1, 0.9])
    monkeypatch.setattr("random.random", lambda: next(draws, 0.9))
    snippets.run("retries_and_timeouts")
    assert harness.delays("unreliable_api_call") == [10]
    err = capsys.readouterr().err
    story = [
        "| Task run 'unreliable_api_call' - Attempt 1 failed with ConnectionError: Simulated network failure. "
        "Retrying in 10.0 seconds...",
        "| INFO    | Task run 'unreliable_api_call' - Called https://api.example.com/data successfully",
        "| INFO    | Task run 'unreliable_api_call' - Finished in state Completed()",
        " - Result: {'status': 'ok'}",
    ]
    places = [err.find(words) for words in story]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.slow
def test_caching(snippets: Snippets, capsys: pytest.CaptureFixture[str]) -> None:
    snippets.run("caching")
    assert capsys.readouterr().out == "[{'result': 42}] [{'result': 42}]\n"
    assert said() == ["Running query: SELECT * FROM big_table"]
    assert [node.state.name for node in run_view("last").nodes.values()] == ["Completed", "Cached"]


@pytest.mark.slow
def test_parallel_task_submission(snippets: Snippets, capsys: pytest.CaptureFixture[str]) -> None:
    snippets.run("parallel_submission")
    nodes = run_view("last").nodes.values()
    times = sorted((node.started or 0, node.ended or 0) for node in nodes)
    assert any(later < ended for (_, ended), (later, _) in pairwise(times)), "one runs beside another"
    assert capsys.readouterr().out == "[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]\n"


def test_flows_calling_flows(snippets: Snippets, capsys: pytest.CaptureFixture[str]) -> None:
    snippets.run("flows_calling_flows")
    told = capsys.readouterr()
    assert "Transformed: [2, 4, 6, 8, 10]" in told.out
    assert "for flow 'main'" in told.err
    assert "Created subflow run" in told.err
    [node] = run_view("last").nodes.values()
    assert find_run(node.id).flow == "transform"


def test_logging_and_state_hooks(snippets: Snippets, capsys: pytest.CaptureFixture[str]) -> None:
    script = snippets.run("state_hooks")
    told = capsys.readouterr()
    assert "Flow instrumented-flow completed successfully" in told.out + told.err
    assert said()[:2] == ["task running", "Result: 42"]

    @script.flow(on_failure=[script.on_failure], on_completion=[script.on_completion])
    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    told = capsys.readouterr()
    assert "Flow fails failed: ValueError: no" in told.out + told.err


@pytest.mark.slow
def test_concurrency_limits(internet: Internet, snippets: Snippets) -> None:
    done = CliRunner().invoke(root, ("concurrency-limit", "create", "external-api", "5"))
    assert done.exit_code == 0
    inside = most = 0
    lock = threading.Lock()

    def slow(request: Request) -> Any:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.03)
        with lock:
            inside -= 1
        return {"n": request.parameters["n"]}

    internet.services[f"{API}/slow"] = slow
    script = snippets.run("concurrency_limits")
    found = script.batch_requests([f"{API}/slow?n={n}" for n in range(20)])
    assert found == [{"n": str(n)} for n in range(20)]
    assert 1 < most <= 5


# --- "Modern workflow orchestration" ----------------------------------------------------------------------------------


def fill_warehouse(url: str, bad: int) -> None:
    """Twenty orders of a day, of which some cannot be right, and one of the next; and who ordered."""
    day, next_day = pd.Timestamp("2024-01-15 10:00"), pd.Timestamp("2024-01-16 10:00")
    orders = pd.DataFrame(
        {
            "order_id": range(1, 22),
            "customer_id": [n % 4 + 1 for n in range(21)],
            "amount": [-1.0 if n < bad else 5.0 * 3**n for n in range(21)],
            "status": "paid",
            "created_at": [day] * 20 + [next_day],
        }
    )
    customers = pd.DataFrame(
        {"customer_id": [1, 2, 3], "tier": ["gold", "silver", "gold"], "segment": ["home", "work", "home"]}
    )
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    orders.to_sql("orders", engine, index=False)
    customers.to_sql("customers", engine, index=False)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE orders_fact (order_id bigint PRIMARY KEY, customer_id bigint, amount double precision, "
            "status text, created_at timestamp, tier text, segment text, order_date date, amount_bucket text)"
        )


def facts(url: str) -> pd.DataFrame:
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    return pd.read_sql("SELECT * FROM orders_fact ORDER BY order_id", engine)


@pytest.mark.slow
def test_a_complete_etl_pipeline(
    harness: Harness, warehouse: str, snippets: Snippets, caplog: pytest.LogCaptureFixture
) -> None:
    fill_warehouse(warehouse, bad=2)
    etl = snippets.run("complete_etl")
    caplog.set_level(logging.INFO, logger=etl.__name__)

    assert etl.daily_order_etl(execution_date="2024-01-15") == {"loaded_count": 18, "target_table": "orders_fact"}
    found = facts(warehouse)
    assert found["order_id"].tolist() == list(range(3, 21))
    assert set(found["tier"]) == {"gold", "silver", "unknown"}
    assert found["amount_bucket"].tolist()[:4] == ["small", "medium", "medium", "large"]
    assert "Validation passed: " in "\n".join(caplog.messages)
    assert "Notification [info]: ETL completed for 2024-01-15: 18 records loaded" in caplog.messages
    assert edges() >= {
        ("extract-orders", "validate-raw-data"),
        ("validate-raw-data", "transform-orders"),
        ("transform-orders", "load-to-warehouse"),
    }

    etl.daily_order_etl(execution_date="2024-01-15")
    assert caplog.messages.count("Extracted 20 orders for 2024-01-15") == 1, "within the hour it is in the cache"
    assert len(facts(warehouse)) == 18, "what is loaded twice is there once"
    harness.clock.advance(3600)
    etl.daily_order_etl(execution_date="2024-01-15")
    assert caplog.messages.count("Extracted 20 orders for 2024-01-15") == 2


@pytest.mark.slow
def test_an_etl_pipeline_whose_data_are_bad(
    harness: Harness, warehouse: str, snippets: Snippets, caplog: pytest.LogCaptureFixture
) -> None:
    fill_warehouse(warehouse, bad=3)
    etl = snippets.run("complete_etl")
    caplog.set_level(logging.INFO, logger=etl.__name__)
    with pytest.raises(ValueError, match=r"Data quality issue: 15\.0% of records removed during validation"):
        etl.daily_order_etl(execution_date="2024-01-15")
    assert harness.delays("validate-raw-data") == [5, 5]
    assert len(facts(warehouse)) == 0
    assert caplog.messages.count("Extracted 20 orders for 2024-01-15") == 1, "the retry of the flow has it in the cache"


@pytest.fixture
def raw_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the files in ``/tmp/raw`` really are."""
    write, read = pd.DataFrame.to_parquet, pd.read_parquet

    def here(path: str) -> Path:
        return tmp_path / Path(path).relative_to("/tmp/raw")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", lambda df, path, **options: write(df, here(path), **options))
    monkeypatch.setattr(pd, "read_parquet", lambda path: read(here(path)))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("invalid", [0, 1])
def test_dynamic_workflow_with_task_mapping(
    warehouse: str, snippets: Snippets, raw_folder: Path, capsys: pytest.CaptureFixture[str], invalid: int
) -> None:
    engine = sqlalchemy.create_engine(warehouse, poolclass=sqlalchemy.NullPool)
    for n in range(4):
        values = [None if n < invalid else float(k) for k in range(10)]
        pd.DataFrame({"id": range(10), "value": values}, dtype=float).to_sql(f"events_{n}", engine, index=False)
    pd.DataFrame({"id": [1]}).to_sql("others", engine, index=False)

    script = snippets.run("task_mapping")
    if invalid:
        with pytest.raises(ValueError, match=r"Data quality below threshold: 75\.0% of tables passed validation"):
            script.dynamic_table_pipeline("postgresql://user:pass@host/db")
    else:
        script = snippets.run("task_mapping", main=True)
        assert (script.result["total_tables"], script.result["valid_tables"]) == (4, 4)
        assert {found["row_count"] for found in script.result["details"]} == {10}
    assert sorted(path.name for path in raw_folder.glob("*.parquet")) == [f"events_{n}.parquet" for n in range(4)]
    kinds = {(a.split("-")[0], b.split("-")[0]) for a, b in edges()}
    assert kinds == {
        ("discover", "extract"),
        ("discover", "validate"),
        ("extract", "validate"),
        ("validate", "aggregate"),
    }
    assert len(edges()) == 4 + 4 + 4 + 4
    levels = [line.level for line in run_view("last").logs]
    assert (levels.count("INFO"), levels.count("WARNING")) == (10 - invalid, invalid)


# --- "Concepts" -------------------------------------------------------------------------------------------------------


def test_concepts(internet: Internet, snippets: Snippets) -> None:
    internet.services[f"{API}/data"] = [{"active": True}, {"active": False}]
    pipeline = snippets.run("concepts", requests=requests).pipeline
    assert pipeline() == [{"active": True}]
    assert edges() == {("fetch_data", "transform")}
    assert find_run("last").flow == "daily-report"


# --- deployments: guide_serving, serving, serving_every_six_hours, deploying, and the end of complete_etl -------------
