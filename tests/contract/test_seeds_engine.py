"""Code as tutorials show it, with only the import changed: what a reader pastes must run."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flowbook import flow, get_run_logger, task
from flowbook.futures import wait
from flowbook.runs import find_run, run_view
from flowbook.task_runners import ConcurrentTaskRunner
from flowbook.testing import Harness

# Annotations are strings in this module; tutorials have them as types, and mutable ones at that.
ORDERS = [
    {"ID": 1, "Customer_ID": 1, " Revenue": "10.5", "Created At": "2024-01-15"},
    {"ID": 2, "Customer_ID": 2, " Revenue": "20", "Created At": "2024-01-16"},
    {"ID": 2, "Customer_ID": 2, " Revenue": "20", "Created At": "2024-01-16"},
]
CUSTOMERS = [{"ID": 1, "Name": "Ada", "Region": "North"}, {"ID": 2, "Name": "Grace", "Region": "South"}]


def edges() -> set[tuple[str, str]]:
    nodes = run_view("last").nodes
    return {(nodes[up].name, node.name) for node in nodes.values() for up in node.upstream}


def prints() -> list[str]:
    return [line.message for line in run_view("last").logs]


# --- "How to schedule and orchestrate multi-step workflows" -----------------------------------------------------------


@task(retries=3, retry_delay_seconds=10, log_prints=True)
def extract_orders(api_url, api_key, days=30):  # type: ignore[no-untyped-def]
    """Fetch orders from API with automatic retry."""
    params = {"since": (datetime.now() - timedelta(days=days)).strftime("%Y-%m-%d")}  # noqa: DTZ005
    assert params["since"]
    df = pd.DataFrame(ORDERS)
    print(f"Extracted {len(df)} orders")
    return df


@task(retries=3, retry_delay_seconds=10, log_prints=True)
def extract_customers(api_url, api_key):  # type: ignore[no-untyped-def]
    """Fetch customer data from API."""
    df = pd.DataFrame(CUSTOMERS)
    print(f"Extracted {len(df)} customers")
    return df


@task(log_prints=True)
def transform_data(orders_df, customers_df):  # type: ignore[no-untyped-def]
    """Clean and combine order and customer data."""
    orders_df.columns = orders_df.columns.str.strip().str.lower().str.replace(" ", "_")
    customers_df.columns = customers_df.columns.str.strip().str.lower().str.replace(" ", "_")
    orders_df["revenue"] = pd.to_numeric(orders_df["revenue"], errors="coerce")
    orders_df["created_at"] = pd.to_datetime(orders_df["created_at"], errors="coerce")
    orders_df = orders_df.drop_duplicates(subset=["id"], keep="last")
    customers_subset = customers_df[["id", "name", "region"]].rename(columns={"id": "customer_id"})
    combined = orders_df.merge(customers_subset, on="customer_id", how="left")
    print(f"Transformed: {len(combined)} rows, {len(combined.columns)} columns")
    return combined


@task(retries=2, retry_delay_seconds=5, log_prints=True)
def load_to_database(df, db_path, table_name):  # type: ignore[no-untyped-def]
    """Load DataFrame to SQLite database."""
    with closing(sqlite3.connect(db_path)) as conn:
        df.to_sql(table_name, conn, if_exists="replace", index=False)
    print(f"Loaded {len(df)} rows to {db_path}:{table_name}")


@task(log_prints=True)
def generate_report(df):  # type: ignore[no-untyped-def]
    """Generate summary report from combined data."""
    by_region = df.groupby("region").agg(orders=("id", "count"), revenue=("revenue", "sum")).reset_index().round(2)
    daily = df.assign(date=df["created_at"].dt.date).groupby("date").agg(orders=("id", "count")).reset_index()
    print(f"Report: {len(by_region)} regions, {len(daily)} days")
    return {"by_region": by_region, "daily": daily}


@task(retries=2, retry_delay_seconds=30, log_prints=True)
def send_email_report(report, recipients):  # type: ignore[no-untyped-def]
    """Send report summary via email."""
    total = report["by_region"]["revenue"].sum()
    print(f"Email sent to {len(recipients)} recipients: ${total:,.2f} revenue")


def test_a_daily_sales_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_URL", "https://api.example.com")
    monkeypatch.setenv("API_KEY", "secret")

    @flow(name="daily-sales-report", log_prints=True)
    def daily_sales_report(
        api_url: str = None,  # type: ignore[assignment]  # noqa: RUF013
        api_key: str = None,  # type: ignore[assignment]  # noqa: RUF013
        db_path: str = "reports.db",
        days: int = 30,
    ):  # type: ignore[no-untyped-def]
        """Complete daily sales reporting pipeline."""
        api_url = api_url or os.environ["API_URL"]
        api_key = api_key or os.environ["API_KEY"]
        orders = extract_orders(api_url, api_key, days=days)
        customers = extract_customers(api_url, api_key)
        combined = transform_data(orders, customers)
        load_to_database(combined, db_path, "daily_orders")
        report = generate_report(combined)
        send_email_report(report, recipients=["reports@example.com"])
        print(f"Pipeline completed: {len(combined)} records processed")
        return {"status": "success", "rows": len(combined)}

    db_path = str(tmp_path / "reports.db")
    assert daily_sales_report(days=7, db_path=db_path) == {"status": "success", "rows": 2}
    assert edges() == {
        ("extract_orders", "transform_data"),
        ("extract_customers", "transform_data"),
        ("transform_data", "load_to_database"),
        ("transform_data", "generate_report"),
        ("generate_report", "send_email_report"),
    }
    assert prints() == [
        "Extracted 3 orders",
        "Extracted 2 customers",
        "Transformed: 2 rows, 6 columns",
        f"Loaded 2 rows to {db_path}:daily_orders",
        "Report: 2 regions, 2 days",
        "Email sent to 1 recipients: $30.50 revenue",
        "Pipeline completed: 2 records processed",
    ]
    run = find_run("last")
    assert (run.flow, run.parameters["days"], run.parameters["api_key"]) == ("daily-sales-report", 7, None)


def test_sources_in_parallel(tmp_path: Path) -> None:
    @flow(task_runner=ConcurrentTaskRunner(), log_prints=True)
    def multi_source_pipeline():  # type: ignore[no-untyped-def]
        """Pipeline that extracts from multiple sources in parallel."""
        orders_future = extract_orders.submit("url", "key")
        customers_future = extract_customers.submit("url", "key")
        orders = orders_future.result()
        customers = customers_future.result()
        combined = transform_data(orders, customers)
        load_to_database(combined, str(tmp_path / "warehouse.db"), "combined")
        print(f"Parallel pipeline complete: {len(combined)} rows")

    multi_source_pipeline()
    assert prints()[-1] == "Parallel pipeline complete: 2 rows"
    assert ("extract_orders", "transform_data") in edges()


def test_increasing_delays_with_jitter(harness: Harness) -> None:
    calls: list[str] = []

    @task(retries=3, retry_delay_seconds=[10, 30, 60], retry_jitter_factor=0.5, log_prints=True)
    def fetch_external_data(url, headers):  # type: ignore[no-untyped-def]
        """Fetch with exponential backoff retry."""
        calls.append(url)
        if len(calls) < 4:
            raise ConnectionError("503")
        return {"status": "ok"}

    assert fetch_external_data("https://api.example.com", headers={}) == {"status": "ok"}
    delays = harness.delays("fetch_external_data")
    assert [low <= slept <= 1.5 * low for low, slept in zip([10, 30, 60], delays, strict=True)] == [True] * 3


def test_a_failure_is_notified_and_raised_again() -> None:
    said: list[str] = []

    @task
    def notify_failure(message):  # type: ignore[no-untyped-def]
        said.append(f"[FAIL] {message}")

    @task
    def load(df):  # type: ignore[no-untyped-def]
        raise RuntimeError("database is down")

    @flow(name="monitored-pipeline", log_prints=True)
    def monitored_pipeline():  # type: ignore[no-untyped-def]
        try:
            load(extract_orders("url", "key"))
        except Exception as e:
            notify_failure(f"Pipeline failed: {e}")
            raise

    with pytest.raises(RuntimeError, match="database is down"):
        monitored_pipeline()
    assert said == ["[FAIL] Pipeline failed: database is down"]
    assert find_run("last").state_name == "Failed"
    assert run_view("last").counts() == {"succeeded": 2, "failed": 1}


def test_sub_flows_for_complex_pipelines() -> None:
    @flow(name="extract-all", log_prints=True)
    def extract_all_sources(api_url, api_key):  # type: ignore[no-untyped-def]
        orders = extract_orders(api_url, api_key)
        customers = extract_customers(api_url, api_key)
        return {"orders": orders, "customers": customers}

    @flow(name="transform-and-load", log_prints=True)
    def transform_and_load(data):  # type: ignore[no-untyped-def]
        return transform_data(data["orders"], data["customers"])

    @flow(name="master-pipeline", log_prints=True)
    def master_pipeline():  # type: ignore[no-untyped-def]
        data = extract_all_sources("url", "key")
        combined = transform_and_load(data)
        report = generate_report(combined)
        send_email_report(report, ["reports@example.com"])

    master_pipeline()
    assert edges() == {
        ("extract-all", "transform-and-load"),
        ("transform-and-load", "generate_report"),
        ("generate_report", "send_email_report"),
    }


# --- "prefect — workflow orchestration" -------------------------------------------------------------------------------


def test_the_quick_example() -> None:
    @task
    def fetch_data(url: str) -> list[dict[str, Any]]:
        return [{"active": True}, {"active": False}]

    @task
    def process(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [r for r in records if r.get("active")]

    @flow(name="My Pipeline")
    def pipeline(url: str) -> list[dict[str, Any]]:
        raw = fetch_data(url)
        return process(raw)

    assert pipeline("https://httpbin.org/json") == [{"active": True}]
    assert edges() == {("fetch_data", "process")}


def test_retries_and_timeouts(harness: Harness, capsys: pytest.CaptureFixture[str]) -> None:
    draws = iter([0.1, 0.9])

    @task(retries=3, retry_delay_seconds=10, timeout_seconds=30, log_prints=True)
    def unreliable_api_call(endpoint: str) -> dict[str, str]:
        if next(draws) < 0.5:
            raise ConnectionError("Simulated network failure")
        print(f"Called {endpoint} successfully")
        return {"status": "ok"}

    @flow(retries=1, timeout_seconds=120, log_prints=True)
    def robust_pipeline():  # type: ignore[no-untyped-def]
        result = unreliable_api_call("https://api.example.com/data")
        print(f"Result: {result}")

    robust_pipeline()
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


def test_parallel_task_submission() -> None:
    @task(log_prints=True)
    def process_item(item: int) -> int:
        time.sleep(0.1)
        return item**2

    @flow
    def parallel_pipeline(items: list[int]) -> list[int]:
        futures = [process_item.submit(item) for item in items]
        wait(futures)
        return [f.result() for f in futures]

    began = time.monotonic()
    assert parallel_pipeline(list(range(10))) == [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]
    assert time.monotonic() - began < 0.9, "one after the other it takes a second"


def test_flows_calling_flows() -> None:
    @task
    def validate(data: list[int]) -> bool:
        return len(data) > 0

    @flow(name="transform")
    def transform_flow(data: list[int]) -> list[int]:
        if validate(data):
            return [x * 2 for x in data]
        return []

    results: list[list[int]] = []

    @flow(name="main")
    def main_flow():  # type: ignore[no-untyped-def]
        results.append(transform_flow([1, 2, 3, 4, 5]))
        print(f"Transformed: {results[0]}")

    main_flow()
    assert results == [[2, 4, 6, 8, 10]]
    [node] = run_view("last").nodes.values()
    assert find_run(node.id).flow == "transform"


# --- "Modern workflow orchestration" ----------------------------------------------------------------------------------


def test_a_complete_etl_pipeline(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("etl")
    caplog.set_level(logging.INFO)

    @task(name="extract-orders", retries=3, retry_delay_seconds=10, log_prints=True)
    def extract_orders(execution_date: str) -> pd.DataFrame:
        amounts = [5.0, None, 7.0, 9.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0]
        return pd.DataFrame({"order_id": range(11), "customer_id": 1, "amount": amounts})

    @task(name="validate-raw-data", retries=2, retry_delay_seconds=5)
    def validate_raw_data(df: pd.DataFrame) -> pd.DataFrame:
        initial_count = len(df)
        df = df.dropna(subset=["order_id", "customer_id", "amount"])
        removal_rate = (initial_count - len(df)) / initial_count
        if removal_rate > 0.1:
            raise ValueError(f"Data quality issue: {removal_rate:.1%} of records removed during validation")
        logger.info(f"Validation passed: {removal_rate}")
        return df

    @task(name="load-to-warehouse", retries=3, retry_delay_seconds=60)
    def load_to_warehouse(df: pd.DataFrame, target_table: str) -> dict[str, Any]:
        return {"loaded_count": len(df), "target_table": target_table}

    @task(name="send-notification")
    def send_notification(message: str, severity: str = "info"):  # type: ignore[no-untyped-def]
        logger.info(f"Notification [{severity}]: {message}")

    @flow(
        name="daily-order-etl",
        description="Daily order extraction, transformation, and warehouse load",
        log_prints=True,
        retry_delay_seconds=300,
        retries=1,
    )
    def daily_order_etl(execution_date: str = None):  # type: ignore[no-untyped-def, assignment]  # noqa: RUF013
        if execution_date is None:
            execution_date = "2024-01-15"
        raw_df = extract_orders(execution_date)
        validated_df = validate_raw_data(raw_df)
        load_result = load_to_warehouse(validated_df, "orders_fact")
        send_notification(message=f"ETL completed: {load_result['loaded_count']} records loaded", severity="info")
        return load_result

    assert daily_order_etl() == {"loaded_count": 10, "target_table": "orders_fact"}
    assert daily_order_etl(execution_date="2024-01-15")["loaded_count"] == 10
    assert harness.attempts("extract-orders") == harness.attempts("load-to-warehouse") == 1
    assert "Notification [info]: ETL completed: 10 records loaded" in caplog.messages
    assert edges() >= {("extract-orders", "validate-raw-data"), ("validate-raw-data", "load-to-warehouse")}


@pytest.mark.parametrize("discovered_by", ["call", "submit"])
def test_dynamic_workflow_with_task_mapping(discovered_by: str) -> None:
    @task(name="discover-tables")
    def discover_tables(connection_string: str) -> list[str]:
        tables = [f"events_{n}" for n in range(4)]
        logger = get_run_logger()
        logger.info(f"Discovered {len(tables)} tables: {tables}")
        return tables

    @task(name="extract-table", retries=2, retry_delay_seconds=10)
    def extract_table(connection_string: str, table_name: str) -> str:
        get_run_logger().info(f"Extracted rows from {table_name}")
        return f"/tmp/raw/{table_name}.parquet"

    @task(name="validate-table")
    def validate_table(table_name: str, file_path: str) -> dict[str, Any]:
        result = {"table": table_name, "path": file_path, "is_valid": table_name != "events_3"}
        logger = get_run_logger()
        if not result["is_valid"]:
            logger.warning(f"Validation FAILED for {table_name}: {result}")
        return result

    @task(name="aggregate-results")
    def aggregate_results(validations: list[dict[str, Any]]) -> dict[str, Any]:
        valid = sum(1 for v in validations if v["is_valid"])
        return {"total_tables": len(validations), "validity_rate": valid / len(validations), "details": validations}

    @flow(name="dynamic-table-pipeline")
    def dynamic_table_pipeline(connection_string: str):  # type: ignore[no-untyped-def]
        tables = (
            discover_tables(connection_string) if discovered_by == "call" else discover_tables.submit(connection_string)
        )
        raw_files = extract_table.map(connection_string=connection_string, table_name=tables)
        validations = validate_table.map(table_name=tables, file_path=raw_files)
        summary = aggregate_results(validations)
        if summary["validity_rate"] < 0.9:
            raise ValueError(
                f"Data quality below threshold: {summary['validity_rate']:.1%} of tables passed validation"
            )
        return summary

    with pytest.raises(ValueError, match=r"Data quality below threshold: 75\.0% of tables passed validation"):
        dynamic_table_pipeline("postgresql://user:pass@host/db")
    kinds = {(a.split("-")[0], b.split("-")[0]) for a, b in edges()}
    assert kinds == {
        ("discover", "extract"),
        ("discover", "validate"),
        ("extract", "validate"),
        ("validate", "aggregate"),
    }
    assert len(edges()) == 4 + 4 + 4 + 4
    levels = [line.level for line in run_view("last").logs]
    assert levels.count("INFO") == 5
    assert levels.count("WARNING") == 1


# --- "Code of the day: concepts" --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_script_is_run_as_it_stands(home: Path, tmp_path: Path) -> None:
    script = tmp_path / "pipeline.py"
    script.write_text(
        textwrap.dedent(
            """
            from flowbook import flow, task

            @task(retries=3, retry_delay_seconds=10)
            def fetch_data(url: str) -> list:
                return [{"active": True}, {"active": False}]

            @task
            def transform(records: list) -> list:
                return [r for r in records if r["active"]]

            @flow(name="daily-report")
            def pipeline(url: str = "https://api.example.com/data"):
                raw = fetch_data(url)
                cleaned = transform(raw)
                return cleaned

            if __name__ == "__main__":
                print(pipeline())
            """
        )
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[{'active': True}]\n"
    assert done.stderr.count("Finished in state Completed()") == 3
    assert find_run("last").flow == "daily-report"


def test_the_same_in_a_notebook_whose_loop_runs() -> None:
    @task
    def fetch_data(url: str) -> list[int]:
        return [1]

    @flow
    def pipeline(url: str = "https://api.example.com/data") -> list[int]:
        first = fetch_data.submit(url)
        return first.result() + fetch_data(url)  # type: ignore[no-any-return]

    async def cell() -> list[int]:
        return pipeline()

    assert asyncio.run(cell()) == [1, 1]
