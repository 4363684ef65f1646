daily_report.serve(
    name="every-6h",
    interval=timedelta(hours=6),
)
