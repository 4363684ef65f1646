from flowbook import task, flow
import pandas as pd
import requests
import os
import logging

logger = logging.getLogger("pipeline")


@task(retries=3, retry_delay_seconds=10, log_prints=True)
def extract_orders(api_url, api_key, days=30):
    """Fetch orders from API with automatic retry."""
    from datetime import datetime, timedelta

    params = {
        "since": (datetime.now() - timedelta(days=days)).strftime("%Y-%m-%d"),
    }
    response = requests.get(
        f"{api_url}/orders",
        headers={"Authorization": f"Bearer {api_key}"},
        params=params,
        timeout=30,
    )
    response.raise_for_status()
    data = response.json()["results"]
    df = pd.DataFrame(data)
    print(f"Extracted {len(df)} orders")
    return df


@task(retries=3, retry_delay_seconds=10, log_prints=True)
def extract_customers(api_url, api_key):
    """Fetch customer data from API."""
    response = requests.get(
        f"{api_url}/customers",
        headers={"Authorization": f"Bearer {api_key}"},
        timeout=30,
    )
    response.raise_for_status()
    data = response.json()["results"]
    df = pd.DataFrame(data)
    print(f"Extracted {len(df)} customers")
    return df


@task(log_prints=True)
def transform_data(orders_df, customers_df):
    """Clean and combine order and customer data."""
    # Standardise columns
    orders_df.columns = orders_df.columns.str.strip().str.lower().str.replace(" ", "_")
    customers_df.columns = customers_df.columns.str.strip().str.lower().str.replace(" ", "_")
    # Clean types
    orders_df["revenue"] = pd.to_numeric(orders_df["revenue"], errors="coerce")
    orders_df["created_at"] = pd.to_datetime(orders_df["created_at"], errors="coerce")
    # Deduplicate
    orders_df = orders_df.drop_duplicates(subset=["id"], keep="last")
    # Merge
    customers_subset = customers_df[["id", "name", "region"]].rename(
        columns={"id": "customer_id"}
    )
    combined = orders_df.merge(customers_subset, on="customer_id", how="left")
    print(f"Transformed: {len(combined)} rows, {len(combined.columns)} columns")
    return combined


@task(retries=2, retry_delay_seconds=5, log_prints=True)
def load_to_database(df, db_path, table_name):
    """Load DataFrame to SQLite database."""
    import sqlite3

    conn = sqlite3.connect(db_path)
    df.to_sql(table_name, conn, if_exists="replace", index=False)
    conn.close()
    print(f"Loaded {len(df)} rows to {db_path}:{table_name}")


@task(log_prints=True)
def generate_report(df):
    """Generate summary report from combined data."""
    from datetime import datetime

    by_region = (
        df.groupby("region")
        .agg(
            orders=("id", "count"),
            revenue=("revenue", "sum"),
            avg_order=("revenue", "mean"),
        )
        .reset_index()
        .round(2)
    )
    daily = (
        df.assign(date=df["created_at"].dt.date)
        .groupby("date")
        .agg(orders=("id", "count"), revenue=("revenue", "sum"))
        .reset_index()
    )
    print(f"Report: {len(by_region)} regions, {len(daily)} days")
    return {"by_region": by_region, "daily": daily}


@task(retries=2, retry_delay_seconds=30, log_prints=True)
def send_email_report(report, recipients):
    """Send report summary via email."""
    by_region = report["by_region"]
    total_revenue = by_region["revenue"].sum()
    total_orders = by_region["orders"].sum()
    subject = f"Daily Report: {total_orders} orders, ${total_revenue:,.2f} revenue"
    print(f"Email sent to {len(recipients)} recipients: {subject}")
    # In production: use smtplib or an email service API


@flow(name="daily-sales-report", log_prints=True)
def daily_sales_report(
    api_url: str = None,
    api_key: str = None,
    db_path: str = "reports.db",
    days: int = 30,
):
    """Complete daily sales reporting pipeline."""
    api_url = api_url or os.environ["API_URL"]
    api_key = api_key or os.environ["API_KEY"]
    # Extract — these run in parallel (no dependency between them)
    orders = extract_orders(api_url, api_key, days=days)
    customers = extract_customers(api_url, api_key)
    # Transform — waits for both extracts to complete
    combined = transform_data(orders, customers)
    # Load
    load_to_database(combined, db_path, "daily_orders")
    # Report
    report = generate_report(combined)
    # Deliver
    send_email_report(report, recipients=["[email protected]"])
    print(f"Pipeline completed: {len(combined)} records processed")
    return {"status": "success", "rows": len(combined)}


# Run directly (development)
if __name__ == "__main__":
    result = daily_sales_report(days=7)
    print(result)
