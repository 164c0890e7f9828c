"""What our own OpenAPI document says is so: schemathesis asks for all that it allows, and for what it does not."""

import pytest

pytest.importorskip("uvicorn", reason="uvicorn (extra: serve) is not installed")
schemathesis = pytest.importorskip("schemathesis", reason="schemathesis (extra: test-serve) is not installed")
serve = pytest.importorskip("lcnet.serve", reason="the extra serve is not installed")

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from schemathesis import GenerationMode, checks  # noqa: E402

from lcnet.serve.openapi import description  # noqa: E402

pytestmark = pytest.mark.slow
MODEL = "lcnet_050.cifar10"
ALLOWED, OTHER = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
ROUTES = [(path, method, ALLOWED) for path, methods in description()["paths"].items() for method in methods]
ROUTES += [(path, method, OTHER) for path, method, _ in ROUTES if "requestBody" in description()["paths"][path][method]]
CHECKED = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
TRIED = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def described():
    with serve.running(MODEL, threads=1) as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


@pytest.mark.parametrize(("path", "method", "mode"), ROUTES)
def test_every_answer_is_as_described(described, path, method, mode):
    known = {"path_parameters": {"name": MODEL}} if "{name}" in path and mode is ALLOWED else {}

    @TRIED
    @given(case=described[path][method.upper()].as_strategy(generation_mode=mode, **known))
    def asked(case):
        answered.append(case.call_and_validate(checks=CHECKED).status_code)

    answered = []
    asked()
    assert len(answered) > (10 if "requestBody" in description()["paths"][path][method] else 0)
