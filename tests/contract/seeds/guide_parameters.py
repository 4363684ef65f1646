@flow(name="flexible-report", log_prints=True)
def flexible_report(
    source: str = "api",
    days: int = 30,
    region: str = None,
    output_format: str = "database",
):
    """Pipeline with configurable parameters."""
    api_key = os.environ["API_KEY"]
    api_url = os.environ["API_URL"]
    # Extract
    orders = extract_orders(api_url, api_key, days=days)
    # Optional: filter by region
    if region:
        orders = orders[orders["region"] == region]
        print(f"Filtered to {region}: {len(orders)} rows")
    # Transform
    customers = extract_customers(api_url, api_key)
    combined = transform_data(orders, customers)
    # Load based on format parameter
    if output_format == "database":
        load_to_database(combined, "reports.db", "orders")
    elif output_format == "excel":
        export_to_excel(combined, f"report_{days}d.xlsx")
    return {"rows": len(combined), "region": region, "days": days}
