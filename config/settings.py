"""Every setting, each from the environment or with a default that is safe.

docs/settings.md lists the variables; a wrong one stops the start with its name.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import dj_database_url
import django_stubs_ext
from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.utils.translation import gettext_lazy as _
from kombu import Exchange, Queue

from config import embedded, environment, secret_key

# ModelAdmin[Run] and its like are types for the checker only; this lets them be written.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent

# --- Servers -----------------------------------------------------------------------------------

DATABASE_URL = environment.secret_url("DATABASE_URL", schemes=("postgres", "postgresql"))
REDIS_URL = environment.secret_url("REDIS_URL", schemes=("redis", "rediss", "unix"))
EMBEDDED_SERVICES = frozenset(
    name for name, url in (("postgres", DATABASE_URL), ("redis", REDIS_URL)) if not url
)

_database: dict[str, Any] = (
    dict(dj_database_url.parse(DATABASE_URL))
    if DATABASE_URL
    else dict(embedded.postgres_connection(BASE_DIR))
)
DATABASES = {
    "default": {
        **_database,
        "ENGINE": "config.postgresql",
        # Celery closes connections after every task and ignores CONN_MAX_AGE: the pool is what
        # keeps them. The engine looks at each that the pool hands out.
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": False,
        "OPTIONS": {
            **_database.get("OPTIONS", {}),
            "pool": {
                "min_size": 0,
                "max_size": environment.number("DATABASE_POOL_SIZE", 8, least=1),
                "timeout": 10,
                # An attempt to connect that fails is made again after 1, 2, 4, … seconds, and
                # keeps its place in the pool. Given up after five, whoever comes next tries at
                # once: else the pool would find out late that the server is back, by as much
                # again as it was away.
                "reconnect_timeout": 5,
            },
            "connect_timeout": 5,
            # A machine that was cut off: each side gives the other up after half a minute, and with
            # it the locks it held. Without this a dead scheduler keeps its lock for two hours.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 4,
            "tcp_user_timeout": 30_000,
            "options": "-c statement_timeout=60s -c lock_timeout=10s"
            " -c idle_in_transaction_session_timeout=60s -c tcp_keepalives_idle=10"
            " -c tcp_keepalives_interval=5 -c tcp_keepalives_count=4 -c tcp_user_timeout=30s",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = REDIS_URL or embedded.redis_url(BASE_DIR)

# --- Django ------------------------------------------------------------------------------------

DEBUG = environment.flag("DEBUG", default=False)
SECRET_KEY = environment.text("SECRET_KEY")
if not SECRET_KEY and "postgres" in EMBEDDED_SERVICES:
    SECRET_KEY = secret_key.read_or_create(BASE_DIR / ".local" / "secret_key")
if not SECRET_KEY:
    raise ImproperlyConfigured("SECRET_KEY: set it to a long random text when DATABASE_URL is set.")
ALLOWED_HOSTS = environment.items("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])

INSTALLED_APPS = [
    "config",
    "dashboard",
    "collection",
    # Before the admin, whose templates they replace.
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.import_export",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "django_celery_results",
    "import_export",
    "axes",
    "csp",
    "django_htmx",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    # Last, as it asks: it turns the refusals of the backend below into an answer.
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "dashboard:overview"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
STATIC_URL = "static/"
# Only where a web server of its own serves them: collectstatic then copies them there.
STATIC_ROOT = environment.text("STATIC_ROOT") or None
STATICFILES_DIRS = [BASE_DIR / "static"]
# Served straight from the apps: a clone needs no collectstatic before its first page.
WHITENOISE_USE_FINDERS = True

LANGUAGE_CODE = environment.text("LANGUAGE_CODE", "ko")
LANGUAGES = [("ko", _("Korean")), ("en", _("English"))]
# What packages leave in English, or say badly, stands apart: makemessages would drop it.
LOCALE_PATHS = [BASE_DIR / "locale", BASE_DIR / "locale" / "packages"]
TIME_ZONE = "Asia/Seoul"
USE_TZ = True

# --- NEIS --------------------------------------------------------------------------------------

NEIS_BASE_URL = environment.http_url("NEIS_BASE_URL", "https://open.neis.go.kr/hub")
NEIS_API_KEYS = tuple(environment.items("NEIS_API_KEYS"))
NEIS_REQUESTS_PER_SECOND = environment.decimal("NEIS_REQUESTS_PER_SECOND", "10")
NEIS_MAX_IN_FLIGHT = environment.number("NEIS_MAX_IN_FLIGHT", 16)
NEIS_TIMEOUT_SECONDS = environment.decimal("NEIS_TIMEOUT_SECONDS", "20", least="0.1")
NEIS_DAILY_CALLS = environment.number("NEIS_DAILY_CALLS", 0)

# --- Collecting --------------------------------------------------------------------------------

# One request ends within NEIS_TIMEOUT_SECONDS, one fetch within its deadline, and only then does
# a lease run out: a worker that is alive is never taken for a dead one.
FETCH_DEADLINE_SECONDS = environment.number("FETCH_DEADLINE_SECONDS", 90, least=1)
FETCH_LEASE_SECONDS = environment.number("FETCH_LEASE_SECONDS", 120, least=2)
FETCH_MAX_FAILURES = environment.number("FETCH_MAX_FAILURES", 5, least=1)
FETCH_RETRY_SECONDS = environment.decimal("FETCH_RETRY_SECONDS", "20", least="0.1")
# How many published messages may wait at most: what an emptied broker costs, and no more.
PUBLISH_WINDOW = environment.number("PUBLISH_WINDOW", 300, least=1)
REPUBLISH_SECONDS = environment.number("REPUBLISH_SECONDS", 30, least=1)
if not NEIS_TIMEOUT_SECONDS < FETCH_DEADLINE_SECONDS < FETCH_LEASE_SECONDS:
    raise ImproperlyConfigured(
        f"NEIS_TIMEOUT_SECONDS={NEIS_TIMEOUT_SECONDS:g}, "
        f"FETCH_DEADLINE_SECONDS={FETCH_DEADLINE_SECONDS}, "
        f"FETCH_LEASE_SECONDS={FETCH_LEASE_SECONDS}: each must be smaller than the next."
    )
# A stored week that falls to nothing, or below this share when it had this many entries, is held.
HOLD_BELOW_SHARE = environment.decimal("HOLD_BELOW_SHARE", "0.5")
HOLD_FROM_ENTRIES = environment.number("HOLD_FROM_ENTRIES", 20)
# A school with a held week is asked again, and believed when it has said the same for so long.
HOLD_AGAIN_SECONDS = environment.number("HOLD_AGAIN_SECONDS", 660)
HOLD_AGREE_SECONDS = environment.number("HOLD_AGREE_SECONDS", 600)
if 0 < HOLD_AGAIN_SECONDS < HOLD_AGREE_SECONDS:
    raise ImproperlyConfigured(
        f"HOLD_AGREE_SECONDS={HOLD_AGREE_SECONDS}, HOLD_AGAIN_SECONDS={HOLD_AGAIN_SECONDS}: "
        "the second must not be smaller, or be 0."
    )
# A run that would take away the weeks of more than this share of its schools is paused, from
# this many schools up.
GUARD_ABOVE_SHARE = environment.share("GUARD_ABOVE_SHARE", "0.05")
GUARD_FROM_SCHOOLS = environment.number("GUARD_FROM_SCHOOLS", 20, least=1)
# While NEIS is down one fetch is tried after this time, and then after twice as long each.
BREAKER_COOL_DOWN_SECONDS = environment.decimal("BREAKER_COOL_DOWN_SECONDS", "60", least="0.1")
BREAKER_MOST_COOL_DOWN_SECONDS = environment.decimal("BREAKER_MOST_COOL_DOWN_SECONDS", "900")
if BREAKER_MOST_COOL_DOWN_SECONDS < BREAKER_COOL_DOWN_SECONDS:
    raise ImproperlyConfigured(
        f"BREAKER_COOL_DOWN_SECONDS={BREAKER_COOL_DOWN_SECONDS:g}, "
        f"BREAKER_MOST_COOL_DOWN_SECONDS={BREAKER_MOST_COOL_DOWN_SECONDS:g}: "
        "the second must not be smaller."
    )
# What is older is deleted, in the night. 0: nothing is.
RETENTION_WEEKS = environment.number("RETENTION_WEEKS", 0)
HISTORY_DAYS = environment.number("HISTORY_DAYS", 365)
# A school list that lost more than this share of its open schools is refused.
REFUSE_LIST_BELOW_SHARE = environment.decimal("REFUSE_LIST_BELOW_SHARE", "0.95")

# --- Exports -----------------------------------------------------------------------------------

EXPORTS_DIRECTORY = Path(
    environment.text("EXPORTS_DIRECTORY", str(BASE_DIR / ".local" / "exports"))
)
EXPORTS_KEPT_FOR = timedelta(days=environment.number("EXPORTS_KEPT_DAYS", 14, least=1))
EXPORTS_AT_ONCE = environment.number("EXPORTS_AT_ONCE", 2, least=1)
# Renewed every second; handing a large file over to a storage that is far away must fit in it.
EXPORT_LEASE_SECONDS = environment.number("EXPORT_LEASE_SECONDS", 300, least=5)
EXPORTS_S3_BUCKET = environment.text("EXPORTS_S3_BUCKET")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "exports": {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": EXPORTS_S3_BUCKET,
            "location": environment.text("EXPORTS_S3_PREFIX"),
            "endpoint_url": environment.text("EXPORTS_S3_ENDPOINT_URL") or None,
            "region_name": environment.text("EXPORTS_S3_REGION") or None,
            "default_acl": None,
            # A download is spooled to the disk, never held in memory as a whole.
            "max_memory_size": 8 * 1024 * 1024,
        },
    }
    if EXPORTS_S3_BUCKET
    else {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": EXPORTS_DIRECTORY / "ready",
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
}

# Of each model's own permissions none allows to export: the admin asks for `export_data`.
IMPORT_EXPORT_EXPORT_PERMISSION_CODE = "export"
IMPORT_EXPORT_IMPORT_PERMISSION_CODE = "change"
IMPORT_EXPORT_USE_TRANSACTIONS = True

# --- Celery ------------------------------------------------------------------------------------

# kombu has a form of its own for Redis on a Unix socket.
CELERY_BROKER_URL = environment.text("CELERY_BROKER_URL") or REDIS_URL.replace(
    "unix://", "redis+socket://", 1
).replace("?db=", "?virtual_host=", 1)
_BROKER_IS_RABBITMQ = CELERY_BROKER_URL.startswith(("amqp", "pyamqp"))
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_POOL_ACQUIRE_TIMEOUT = 30
CELERY_BROKER_HEARTBEAT = 30
CELERY_BROKER_TRANSPORT_OPTIONS = (
    # A message is sent when a majority of RabbitMQ's nodes have it.
    {"confirm_publish": True}
    if _BROKER_IS_RABBITMQ
    else {
        # Far above any countdown and any task: Redis hands a message out again after it.
        "visibility_timeout": 3600,
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "health_check_interval": 25,
        "global_keyprefix": "neis:",
    }
)
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_RESULT_BACKEND = "collection.results:SafeDatabaseBackend"
CELERY_RESULT_EXTENDED = True
CELERY_RESULT_EXPIRES = timedelta(days=30)
CELERY_TASK_TRACK_STARTED = True
# Early acknowledgement: PostgreSQL's ledger is the guarantee, and a message that is acknowledged
# at once can neither wedge a worker nor come back for ever.
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 2, "interval_start": 0.2, "interval_step": 0.2}
CELERY_TASK_DEFAULT_QUEUE = "control"
# On RabbitMQ, quorum queues; and topic exchanges, through which RabbitMQ itself delays a retry:
# a worker that had to hold it until it is due would have one slot less to fetch with.
CELERY_TASK_DEFAULT_EXCHANGE_TYPE = "topic" if _BROKER_IS_RABBITMQ else "direct"
CELERY_TASK_QUEUES = [
    Queue(
        name,
        Exchange(name, type=CELERY_TASK_DEFAULT_EXCHANGE_TYPE),
        routing_key=name,
        queue_arguments={"x-queue-type": "quorum"} if _BROKER_IS_RABBITMQ else None,
    )
    for name in (
        "control",
        "fetch.elementary",
        "fetch.middle",
        "fetch.high",
        "fetch.special",
        "fetch.list",
        "export",
    )
]
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULER = "collection.beat:OneScheduler"
CELERY_BEAT_SYNC_EVERY = 1
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
DJANGO_CELERY_BEAT_TZ_AWARE = True

# --- Security ----------------------------------------------------------------------------------

SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 60 * 60
CSRF_COOKIE_HTTPONLY = True
# Behind a proxy that ends TLS and says so in X-Forwarded-Proto.
HTTPS = environment.flag("HTTPS", default=False)
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
# Probes come from beside the process, without the proxy.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
CSRF_TRUSTED_ORIGINS = environment.items("CSRF_TRUSTED_ORIGINS")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        # Alpine, which Unfold's widgets are written in, evaluates the attributes of its elements.
        "script-src": [SELF, UNSAFE_EVAL],
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "dashboard.views.show_locked_out"
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# --- Alerts ------------------------------------------------------------------------------------

ALERT_EMAILS = environment.items("ALERT_EMAILS")
ALERT_WEBHOOK_URL = environment.secret_url("ALERT_WEBHOOK_URL", schemes=("https", "http"))
# Where messages link to: the console as its users reach it.
CONSOLE_URL = environment.http_url("CONSOLE_URL", "") if environment.text("CONSOLE_URL") else ""
EMAIL_HOST = environment.text("EMAIL_HOST", "localhost")
EMAIL_PORT = environment.number("EMAIL_PORT", 25, least=1)
EMAIL_HOST_USER = environment.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = environment.text("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = environment.flag("EMAIL_USE_TLS", default=False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = environment.text("EMAIL_FROM", "neis-timetables@localhost")
# Programs that read /metrics and /api/ show one of these.
API_TOKENS = environment.items("API_TOKENS")

# --- Console -----------------------------------------------------------------------------------

ENVIRONMENT_NAME = environment.text("ENVIRONMENT_NAME")
UNFOLD = {
    "SITE_TITLE": _("NEIS Timetables"),
    "SITE_HEADER": _("NEIS Timetables"),
    "SITE_SYMBOL": "calendar_view_week",
    "SITE_URL": None,
    "SHOW_LANGUAGES": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("dashboard/icon.svg"),
        }
    ],
    "ENVIRONMENT": "dashboard.status.environment",
    "STYLES": [lambda request: static("dashboard/console.css")],
    "SIDEBAR": {"navigation": "dashboard.navigation.sidebar"},
    "COLORS": {
        # One step darker, and lighter by night, than Unfold's: enough contrast on every ground.
        "font": {
            "subtle-light": "var(--color-base-600)",
            "subtle-dark": "var(--color-base-300)",
            "default-light": "var(--color-base-700)",
        },
        "primary": {
            "50": "#eff6ff",
            "100": "#dbeafe",
            "200": "#bfdbfe",
            "300": "#93c5fd",
            "400": "#60a5fa",
            "500": "#3b82f6",
            "600": "#2563eb",
            "700": "#1d4ed8",
            "800": "#1e40af",
            "900": "#1e3a8a",
            "950": "#172554",
        },
    },
}

# --- Logging -----------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "redact": {
            "()": "collection.neis.redaction.RedactingFilter",
            "secrets": NEIS_API_KEYS,
        }
    },
    "formatters": {"plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "plain",
            "filters": ["redact"],
        }
    },
    "root": {"handlers": ["console"], "level": environment.text("LOG_LEVEL", "INFO")},
    # Both print addresses, and an address of NEIS holds the key.
    "loggers": {"urllib3": {"level": "ERROR"}, "requests": {"level": "ERROR"}},
}
