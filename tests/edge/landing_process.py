"""A real edge process with the set-up of ``tests.landings``, and a visitor's browser without scripts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from clickloop.click.page.page_event import PageEvent
from clickloop.setup.catalog import Catalog, write_catalog
from clickloop.setup.instance import InstanceSettings
from tests.edge.edge_running import EdgeProcess, started
from tests.journey.running import Answer
from tests.landings import FALLBACK, KEY, catalog


class LandingProcess(EdgeProcess):
    """The edge."""

    def publish(self, *_: Any, **__: Any) -> None:
        """Publish the set-up of ``tests.landings``."""
        self.publish_catalog(catalog())

    def publish_catalog(self, of: Catalog) -> None:
        """Publish a set-up with a fallback URL of the instance."""
        instance = InstanceSettings(public_url="", fallback_url=FALLBACK, currency="USD", time_zone="UTC")
        write_catalog(self.folder, msgspec.structs.replace(of, instance=instance))

    def page_events(self) -> list[PageEvent]:
        """Return all page events in the journal."""
        return [msgspec.json.decode(line, type=PageEvent) for line in self._lines("page-events")]

    def report(self, body: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
        """Send what the script sends; return the answer's JSON."""
        answer = self.ask("POST", "/track", headers, json.dumps(body).encode())
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def land(self, query: str = "external_id=e&zone=7") -> tuple[str, dict[str, str]]:
        """Follow the campaign link to the landing; return the click id and the cookies."""
        answer = self.ask("GET", f"/c/{KEY}?{query}")
        assert answer.status == 302, answer
        return parameters_of(answer)["cid"], cookies_of(answer)


def cookies_of(answer: Answer) -> dict[str, str]:
    """Return the cookies that an answer sets."""
    lines = answer.headers.get("set-cookie", "").splitlines()
    return dict(line.partition(";")[0].split("=", 1) for line in lines)


def cookie_header(cookies: dict[str, str]) -> dict[str, str]:
    """Return the header by which a browser sends cookies."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def parameters_of(answer: Answer) -> dict[str, str]:
    """Return the parameters of the URL that an answer redirects to."""
    return {name: given[0] for name, given in parse_qs(urlsplit(answer.headers["location"]).query).items()}


def landing_process(folder: Path) -> Iterator[LandingProcess]:
    """Yield a started edge."""
    for edge in started(LandingProcess(folder)):
        assert isinstance(edge, LandingProcess)
        yield edge


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LandingProcess]:
    yield from landing_process(tmp_path_factory.mktemp("edge") / "data")
