# SPDX-License-Identifier: GPL-2.0-or-later

"""How Sphinx makes the site of `make docs`. Its source directory is the whole repository, so that a link between any
two pages means the same here, on the hosting site and on a disk."""

import glob
import os

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

project = "my_rng"
author = copyright = "the my_rng developers"
extensions = ["myst_parser"]
root_doc = "docs/index"
html_theme = "furo"
html_title = "my_rng"
html_copy_source = False
# The links to headings that the hosting site makes, too.
myst_heading_anchors = 3

# Every page, in the directories that have some. A file that is no page and is linked to becomes a download.
include_patterns = [
    os.path.relpath(page, root)
    for pattern in ("*.md", "*/README.md", "docs/*.md", "docs/*.rst")
    for page in glob.glob(os.path.join(root, pattern))
]
# Sphinx would otherwise look for pages in whatever was built.
exclude_patterns = list(set(os.listdir(root)) - {page.split("/")[0] for page in include_patterns})
