@task(
    retries=3, # Retry up to 3 times
    retry_delay_seconds=[10, 30, 60], # Increasing delays: 10s, 30s, 60s
    retry_jitter_factor=0.5, # Add randomness to prevent thundering herd
    log_prints=True,
)
def fetch_external_data(url, headers):
    """Fetch with exponential backoff retry."""
    response = requests.get(url, headers=headers, timeout=30)
    response.raise_for_status()
    return response.json()
