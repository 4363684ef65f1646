"""From due times to runs: schedules make runs, workers claim and execute them."""
