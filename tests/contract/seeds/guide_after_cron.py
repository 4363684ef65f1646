@flow(name="daily-pipeline", log_prints=True)
def daily_pipeline():
    orders = extract_orders.submit(api_url, api_key) # parallel
    customers = extract_customers.submit(api_url, api_key) # parallel
    combined = transform_data(orders.result(), customers.result()) # waits
    load_to_database(combined, "reports.db", "orders") # retries
    report = generate_report(combined)
    send_email_report(report, ["[email protected]"]) # retries
