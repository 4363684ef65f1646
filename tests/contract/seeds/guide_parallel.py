from flowbook import flow, task
from flowbook.task_runners import ConcurrentTaskRunner


@flow(task_runner=ConcurrentTaskRunner(), log_prints=True)
def multi_source_pipeline():
    """Pipeline that extracts from multiple sources in parallel."""
    api_key = os.environ["API_KEY"]
    api_url = os.environ["API_URL"]
    # These three tasks run in parallel
    orders_future = extract_orders.submit(api_url, api_key)
    customers_future = extract_customers.submit(api_url, api_key)
    products_future = extract_products.submit(api_url, api_key)
    # Wait for all to complete and get results
    orders = orders_future.result()
    customers = customers_future.result()
    products = products_future.result()
    # Sequential from here
    combined = merge_all_sources(orders, customers, products)
    load_to_database(combined, "warehouse.db", "combined")
    print(f"Parallel pipeline complete: {len(combined)} rows")
