from flowbook import flow
from flowbook.blocks.notifications import SlackWebhook


@flow(name="monitored-pipeline", log_prints=True)
def monitored_pipeline():
    """Pipeline with error handling and notifications."""
    try:
        orders = extract_orders(os.environ["API_URL"], os.environ["API_KEY"])
        combined = transform_data(orders, extract_customers(os.environ["API_URL"], os.environ["API_KEY"]))
        load_to_database(combined, "reports.db", "orders")
        report = generate_report(combined)
        notify_success(f"Pipeline complete: {len(combined)} rows processed")
    except Exception as e:
        notify_failure(f"Pipeline failed: {e}")
        raise


@task
def notify_success(message):
    """Send success notification to Slack."""
    webhook_url = os.environ.get("SLACK_WEBHOOK")
    if webhook_url:
        requests.post(webhook_url, json={"text": f"[OK] {message}"}, timeout=10)


@task
def notify_failure(message):
    """Send failure notification to Slack."""
    webhook_url = os.environ.get("SLACK_WEBHOOK")
    if webhook_url:
        requests.post(webhook_url, json={"text": f"[FAIL] {message}"}, timeout=10)
