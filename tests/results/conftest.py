"""What the tests of results share."""

import pytest


@pytest.fixture(autouse=True)
def parquet_where_there_is_pyarrow(request):
    if "ending" in request.fixturenames and request.getfixturevalue("ending") == ".parquet":
        pytest.importorskip("pyarrow", reason="pyarrow (extra: parquet) is not installed")
