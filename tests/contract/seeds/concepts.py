from flowbook import flow, task

@task(retries=3, retry_delay_seconds=10)
def fetch_data(url: str) -> list:
    response = requests.get(url)
    response.raise_for_status()
    return response.json()

@task
def transform(records: list) -> list:
    return [r for r in records if r["active"]]

@flow(name="daily-report")
def pipeline(url: str = "https://api.example.com/data"):
    raw = fetch_data(url)
    cleaned = transform(raw)
    return cleaned
