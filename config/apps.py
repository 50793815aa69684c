from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Settings as an application, so that the commands around the servers live beside them."""

    name = "config"
