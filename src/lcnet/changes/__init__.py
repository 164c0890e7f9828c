"""What jobs change in other people's files: journalled before it is done, originals kept, so that it can be taken back.

`journal` makes the changes and writes the report, `undo` reads it. A report is JSON lines; docs/upright.md specifies it.
"""
