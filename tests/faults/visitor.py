"""Somebody who has logged in to a console that runs, over HTTP as a browser does it."""

from dataclasses import dataclass

import requests

NAME, PASSWORD = "visitor", "for tests only"
_SECONDS = 30


@dataclass(frozen=True)
class Visitor:
    """Can be used by many threads at once: nothing that an answer sets is kept."""

    address: str
    cookies: dict[str, str]

    def page(self, path: str) -> str:
        answer = requests.get(self.address + path, cookies=self.cookies, timeout=_SECONDS)
        assert answer.status_code == 200, (path, answer.status_code)
        return answer.text

    def post(self, path: str, **form: str) -> requests.Response:
        """The page that the form leads to."""
        return requests.post(
            self.address + path,
            data={**form, "csrfmiddlewaretoken": self.cookies["csrftoken"]},
            cookies=self.cookies,
            headers={"Referer": self.address + path},
            timeout=_SECONDS,
        )


def log_in(address: str) -> Visitor:
    """As the superuser that orders.make_visitor makes."""
    with requests.Session() as session:
        session.get(f"{address}/admin/login/", timeout=_SECONDS)
        form = {"username": NAME, "password": PASSWORD, "next": "/admin/"}
        answer = session.post(
            f"{address}/admin/login/",
            data={**form, "csrfmiddlewaretoken": session.cookies["csrftoken"]},
            headers={"Referer": f"{address}/admin/login/"},
            timeout=_SECONDS,
        )
        assert not answer.url.endswith("/login/"), "Logging in failed."
        return Visitor(address, session.cookies.get_dict())
