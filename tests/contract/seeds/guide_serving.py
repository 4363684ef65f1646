# Deploy with a cron schedule — runs weekdays at 6am
daily_sales_report.serve(
    name="weekday-morning",
    schedules=[
        {"cron": "0 6 * * 1-5", "timezone": "Europe/Zurich"}
    ],
    parameters={"days": 30, "db_path": "reports.db"},
)
# Run every 4 hours
daily_sales_report.serve(
    name="every-4-hours",
    schedules=[
        {"interval": 14400} # 4 hours in seconds
    ],
)
daily_sales_report.serve(
    name="multi-schedule",
    schedules=[
        {"cron": "0 6 * * 1-5", "timezone": "Europe/London"}, # weekday morning
        {"cron": "0 9 1 * *", "timezone": "Europe/London"}, # monthly on the 1st
    ],
)
