"""The console's lists and forms: what operators create is edited here, what the system writes is
read. Importing a module registers what it holds."""

from collection.admin import history, jobs, periodic_tasks, results, schedules, schools

__all__ = ["history", "jobs", "periodic_tasks", "results", "schedules", "schools"]
