"""Make README.md's relative links absolute, for pages that show it elsewhere: `pypi_readme.py URL TAG`.

URL is the repository's, such as `$GITHUB_SERVER_URL/$GITHUB_REPOSITORY`; pages become `URL/blob/TAG/...`, pictures
`URL/raw/TAG/...`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")


def absolute(text: str, url: str, tag: str) -> str:
    """Markdown with absolute links; those to its own headings and to other hosts stay."""

    def whole(found: re.Match[str]) -> str:
        if re.match(r"[a-z]+:|#", found["target"]):
            return found[0]
        kind = "raw" if found["picture"] else "blob"
        return f"{found['picture']}[{found['text']}]({url}/{kind}/{tag}/{found['target']})"

    return LINK.sub(whole, text)


def main(url: str, tag: str) -> None:
    path = Path(__file__).parents[1] / "README.md"
    path.write_text(absolute(path.read_text(), url.rstrip("/"), tag))


if __name__ == "__main__":
    main(*sys.argv[1:])
