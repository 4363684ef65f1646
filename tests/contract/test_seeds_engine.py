"""What tutorials lead one to write next; their own code is in :mod:`test_seeds_verbatim`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from flowbook import flow, get_run_logger, task
from flowbook.runs import run_view


def edges() -> set[tuple[str, str]]:
    nodes = run_view("last").nodes
    return {(nodes[up].name, node.name) for node in nodes.values() for up in node.upstream}


def test_a_task_is_mapped_over_what_another_one_is_going_to_return() -> None:
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
        tables = discover_tables.submit(connection_string)
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


def test_a_flow_in_a_notebook_whose_loop_runs() -> None:
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
