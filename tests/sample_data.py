"""Where the sample data lies that some machines have beside the checkout.

Not in conftest.py: a folder with a conftest.py of its own would be imported under the same name.
"""

from pathlib import Path

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
