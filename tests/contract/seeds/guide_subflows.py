@flow(name="extract-all", log_prints=True)
def extract_all_sources(api_url, api_key):
    """Sub-flow: extract from all sources."""
    orders = extract_orders(api_url, api_key)
    customers = extract_customers(api_url, api_key)
    return {"orders": orders, "customers": customers}


@flow(name="transform-and-load", log_prints=True)
def transform_and_load(data, db_path):
    """Sub-flow: transform and load."""
    combined = transform_data(data["orders"], data["customers"])
    load_to_database(combined, db_path, "combined")
    return combined


@flow(name="master-pipeline", log_prints=True)
def master_pipeline():
    """Master flow that orchestrates sub-flows."""
    api_url = os.environ["API_URL"]
    api_key = os.environ["API_KEY"]
    # Sub-flow 1: Extract
    data = extract_all_sources(api_url, api_key)
    # Sub-flow 2: Transform and load
    combined = transform_and_load(data, "reports.db")
    # Sub-flow 3: Report
    report = generate_report(combined)
    send_email_report(report, ["[email protected]"])
