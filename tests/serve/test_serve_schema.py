"""What our own OpenAPI document says is so: schemathesis asks for everything that it allows, and for what it does not."""

import pytest

pytest.importorskip("uvicorn", reason="uvicorn (extra: serve) is not installed")
schemathesis = pytest.importorskip("schemathesis", reason="schemathesis (extra: test-serve) is not installed")
serve = pytest.importorskip("lcnet.serve", reason="the extra serve is not installed")

from hypothesis import HealthCheck, Phase, settings  # noqa: E402
from schemathesis import checks  # noqa: E402

pytestmark = pytest.mark.slow
MODEL = "lcnet_050.cifar10"
# A body of rubbish is valid by its schema, and no picture; the token is optional, as only a server with tokens asks for one.
CHECKED = (
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
)


@pytest.fixture(scope="module")
def described():
    with serve.running(MODEL, threads=1) as url:
        yield schemathesis.openapi.from_url(f"{url}/openapi.json")


schema = schemathesis.pytest.from_fixture("described")


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_described(case):
    case.call_and_validate(checks=CHECKED)
