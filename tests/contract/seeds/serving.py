from flowbook import flow
from flowbook.schedules import CronSchedule, IntervalSchedule
from datetime import timedelta

@flow(log_prints=True)
def daily_report():
    print("Generating daily report...")

# Local serve — runs the flow on schedule in the foreground process
if __name__ == "__main__":
    daily_report.serve(
        name="daily-report",
        cron="0 8 * * *",            # 8 AM UTC daily
        timezone="America/New_York",
    )
